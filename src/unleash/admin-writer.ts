import { systemClock } from '../support/clock.js';
import { fetchOver } from '../support/connection/connection.js';
import { exchange, NoAnswerError, notOfProxy } from '../support/connection/http.js';
import type { HttpOptions } from '../support/connection/http-options.js';
import { retry } from '../support/retry.js';
import { baseUrlOf, flagPageUrl } from './admin-access.js';
import { ADMIN_RETRY, isAdminError } from './admin-error.js';
import { type AdminRequest, errorForNoReply, errorForReply } from './admin-failure.js';

/** Where a command works, and as whom. */
export interface AdminTarget {
  readonly url: string;
  readonly project: string;
  readonly environment: string;
  readonly adminToken: string;
  /** Time for one request, in milliseconds. */
  readonly timeoutMs: number;
  /** @default as the environment has it */
  readonly http?: HttpOptions | undefined;
}

/** Requests of the admin API for one flag that a guard never sends, and commands do: to make a flag, to turn it on, to delete it. */
export class AdminWriter {
  readonly #target: AdminTarget;
  readonly #flagKey: string;
  readonly #fetch: typeof fetch;

  constructor(target: AdminTarget, flagKey: string) {
    this.#target = target;
    this.#fetch = fetchOver(target);
    this.#flagKey = flagKey;
  }

  get projectPath(): string {
    return `/api/admin/projects/${encodeURIComponent(this.#target.project)}/features`;
  }

  get flagPath(): string {
    return `${this.projectPath}/${encodeURIComponent(this.#flagKey)}`;
  }

  get environmentPath(): string {
    return `${this.flagPath}/environments/${encodeURIComponent(this.#target.environment)}`;
  }

  get tagsPath(): string {
    return `/api/admin/features/${encodeURIComponent(this.#flagKey)}/tags`;
  }

  get pageUrl(): string {
    return flagPageUrl(this.#target, this.#flagKey);
  }

  /** Makes the flag, of type release and off everywhere. @throws AdminError */
  async create(description: string): Promise<void> {
    await this.send('POST', this.projectPath, { name: this.#flagKey, type: 'release', description });
  }

  /** Adds a gradual rollout in the environment, by which the flag is drawn once it is on. @throws AdminError */
  async addRollout(percentage: number, stickiness: string): Promise<void> {
    const parameters = { rollout: String(percentage), stickiness, groupId: this.#flagKey };
    await this.send('POST', `${this.environmentPath}/strategies`, { name: 'flexibleRollout', parameters });
  }

  /** Archives and deletes the flag; what does not exist is gone already. @throws AdminError */
  async delete(): Promise<void> {
    await this.remove('DELETE', this.flagPath);
    await this.remove('DELETE', `/api/admin/archive/${encodeURIComponent(this.#flagKey)}`);
  }

  /** @returns the body of the reply. @throws AdminError */
  async send(
    method: AdminRequest['method'],
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<string> {
    const { url, adminToken, timeoutMs, project, environment } = this.#target;
    const request: AdminRequest = { method, path, body, flagKey: this.#flagKey, project, environment };
    const headers = { authorization: adminToken, accept: 'application/json' };
    const sent =
      body === undefined
        ? { method, url: `${baseUrlOf(url)}${path}`, headers }
        : {
            method,
            url: `${baseUrlOf(url)}${path}`,
            headers: { ...headers, 'content-type': 'application/json' },
            body: JSON.stringify(body),
          };
    const reply = await exchange(this.#fetch, sent, timeoutMs, signal)
      .then(notOfProxy)
      .catch((error: unknown) => {
        throw error instanceof NoAnswerError ? errorForNoReply(error, request) : error;
      });
    if (reply.ok) return reply.body;
    throw errorForReply(reply, reply.body.replaceAll(adminToken, '…'), request, systemClock.now());
  }

  /** As {@link send}, and again where that can help; what does not exist is gone already. */
  async remove(method: AdminRequest['method'], path: string): Promise<void> {
    try {
      await retry(() => this.send(method, path), ADMIN_RETRY);
    } catch (error) {
      if (!isAdminError(error) || error.code !== 'ADMIN_NOT_FOUND') throw error;
    }
  }
}
