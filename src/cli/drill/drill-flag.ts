import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { GUARD_TAG_TYPE } from '../../guard/act/unleash-marks.js';
import { messageOf } from '../../support/async/callbacks.js';
import { systemClock } from '../../support/clock.js';
import { fetchOver } from '../../support/connection/connection.js';
import { exchange, NoAnswerError, notOfProxy } from '../../support/connection/http.js';
import type { HttpOptions } from '../../support/connection/http-options.js';
import { parseJson } from '../../support/json.js';
import { retry } from '../../support/retry.js';
import { baseUrlOf, flagPageUrl } from '../../unleash/admin-access.js';
import { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY, isAdminError } from '../../unleash/admin-error.js';
import { type AdminRequest, errorForNoReply, errorForReply } from '../../unleash/admin-failure.js';

/** Where a drill takes place, and as whom. */
export interface DrillTarget {
  readonly url: string;
  readonly project: string;
  readonly environment: string;
  readonly adminToken: string;
  /** Time for one request, in milliseconds. */
  readonly timeoutMs: number;
  /** @default as the environment has it */
  readonly http?: HttpOptions | undefined;
}

/**
 * The flag of a drill: one that is made for it and deleted, or one that is named and left as it was. What changes it is not
 * aborted: a request that Unleash still works on would arrive after the clean-up.
 */
export interface DrillFlag {
  readonly key: string;
  /**
   * Prepares the flag, which stays off.
   * @returns a sentence on what was done.
   */
  prepare(signal: AbortSignal): Promise<string>;
  /** Turns the flag on in the environment. */
  turnOn(): Promise<void>;
  /**
   * Puts everything back as it was. Retries what can succeed later.
   * @returns a sentence on what was done; undefined when nothing was to be done.
   */
  cleanUp(): Promise<string | undefined>;
}

/** A drill cannot take place, or found that the path does not work. The message is for an operator. */
export class DrillError extends Error {
  override readonly name = 'DrillError';
  readonly code = 'DRILL_FAILED';
}

/** A request that was given up may take so much longer in Unleash, in milliseconds. */
const LATE_REPLY_MS = 3_000;

/** The tag that a guard sets when it stops a flag. */

const tagsReply = z.object({ tags: z.array(z.object({ type: z.string(), value: z.string() })) });

/** Requests of the admin API that a guard never sends: a guard cannot turn a flag on. */
class DrillAdmin {
  readonly #target: DrillTarget;
  readonly #flagKey: string;
  readonly #fetch: typeof fetch;

  constructor(target: DrillTarget, flagKey: string) {
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

/** A flag that exists for one drill only. */
class ScratchFlag implements DrillFlag {
  readonly key = `rollout-guard-drill-${randomBytes(4).toString('hex')}`;
  readonly #admin: DrillAdmin;
  readonly #client: UnleashAdminClient;
  /** `unknown`: Unleash did not reply to the request that makes it. */
  #state: 'none' | 'unknown' | 'made' = 'none';

  constructor(target: DrillTarget) {
    const { adminToken: token, ...rest } = target;
    this.#admin = new DrillAdmin(target, this.key);
    this.#client = new UnleashAdminClient({ ...rest, token });
  }

  async prepare(signal: AbortSignal): Promise<string> {
    const { projectPath, environmentPath } = this.#admin;
    const description = 'Made by rollout-guard drill, which deletes it. It can be deleted at any time.';
    // Before the request, because its reply may be lost.
    this.#state = 'unknown';
    try {
      await this.#admin.send('POST', projectPath, { name: this.key, type: 'release', description });
      this.#state = 'made';
    } catch (error) {
      // Unleash has refused it.
      if (isAdminError(error) && !error.retryable) this.#state = 'none';
      throw error;
    }
    // Explains a wrong environment.
    await this.#client.readFlag(this.key, { signal });
    const parameters = { rollout: '100', stickiness: 'default', groupId: this.key };
    await this.#admin.send('POST', `${environmentPath}/strategies`, { name: 'flexibleRollout', parameters });
    return `${this.key} was made; no service evaluates it.`;
  }

  async turnOn(): Promise<void> {
    await this.#admin.send('POST', `${this.#admin.environmentPath}/on`);
  }

  async cleanUp(): Promise<string | undefined> {
    if (this.#state === 'none') return undefined;
    // Unleash may still be making it.
    if (this.#state === 'unknown') await sleep(LATE_REPLY_MS);
    try {
      await this.#admin.remove('DELETE', this.#admin.flagPath);
      await this.#admin.remove('DELETE', `/api/admin/archive/${encodeURIComponent(this.key)}`);
    } catch (error) {
      throw new DrillError(
        `The scratch flag ${this.key} could not be deleted: archive and delete it by hand, ${this.#admin.pageUrl}. ${messageOf(error)}`,
      );
    }
    this.#state = 'none';
    return `${this.key} is archived and deleted.`;
  }
}

/** A flag that exists before the drill and after it. */
class NamedFlag implements DrillFlag {
  readonly key: string;
  readonly #admin: DrillAdmin;
  readonly #client: UnleashAdminClient;
  readonly #environment: string;
  /** What it had before it was turned on; undefined while nothing was changed. */
  #before:
    | { readonly strategyIds: ReadonlySet<string>; readonly marks: readonly string[] | undefined }
    | undefined;
  #isChanged = false;

  constructor(target: DrillTarget, key: string) {
    const { adminToken: token, ...rest } = target;
    this.key = key;
    this.#admin = new DrillAdmin(target, key);
    this.#client = new UnleashAdminClient({ ...rest, token });
    this.#environment = target.environment;
  }

  async prepare(signal: AbortSignal): Promise<string> {
    const { enabled, strategies } = await this.#client.readFlag(this.key, { signal });
    if (enabled) {
      throw new DrillError(
        `${this.key} is on in ${this.#environment}: a drill would turn it off for its users. Name a flag that is off and that no service evaluates, or none.`,
      );
    }
    const tags = tagsReply.safeParse(
      parseJson(await this.#admin.send('GET', this.#admin.tagsPath, undefined, signal)),
    );
    const tagged = tags.data?.tags.filter(({ type }) => type === GUARD_TAG_TYPE.name);
    const marks = tagged?.map(({ value }) => value);
    this.#before = { strategyIds: new Set(strategies.map(({ id }) => id)), marks };
    return `${this.key} exists, and is off in ${this.#environment}.`;
  }

  async turnOn(): Promise<void> {
    this.#isChanged = true;
    await this.#admin.send('POST', `${this.#admin.environmentPath}/on`);
  }

  async cleanUp(): Promise<string | undefined> {
    const before = this.#before;
    if (before === undefined || !this.#isChanged) return undefined;
    try {
      await retry(() => this.#client.disable(this.key), ADMIN_RETRY);
      const { strategies } = await retry(() => this.#client.readFlag(this.key), ADMIN_RETRY);
      // Unleash gives a flag without strategies one when it is turned on.
      for (const { id } of strategies.filter(({ id }) => !before.strategyIds.has(id))) {
        await this.#admin.remove(
          'DELETE',
          `${this.#admin.environmentPath}/strategies/${encodeURIComponent(id)}`,
        );
      }
      const { marks } = before;
      if (marks !== undefined)
        await retry(() => this.#client.setTags(this.key, GUARD_TAG_TYPE, marks), ADMIN_RETRY);
    } catch (error) {
      throw new DrillError(
        `${this.key} could not be put back as it was: check that it is off, ${this.#admin.pageUrl}. ${messageOf(error)}`,
      );
    }
    this.#isChanged = false;
    return `${this.key} is off again, as it was.`;
  }
}

/** The flag of a drill. @param key - Of an existing flag. @default a scratch flag is made */
export function drillFlag(target: DrillTarget, key: string | undefined): DrillFlag {
  return key === undefined ? new ScratchFlag(target) : new NamedFlag(target, key);
}
