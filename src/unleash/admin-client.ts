import type { z } from 'zod';
import { type Clock, systemClock } from '../support/clock.js';
import { AdminNotFoundError, AdminResponseError, AdminTokenError } from './admin-error.js';
import {
  type AdminEvent,
  type AdminFlag,
  type AdminLink,
  type AdminTag,
  flagAnswer,
  gradualRolloutOf,
  historyAnswer,
} from './admin-replies.js';
import { type Backoff, type RequestOptions, withRetries } from './admin-retry.js';
import { adminTokenProblem } from './admin-token.js';
import { baseUrlOf, flagPageUrl } from './base-url.js';
import { type AdminRequest, RequestSender } from './request-sender.js';

/** What {@link UnleashAdminClient} takes. */
export interface UnleashAdminClientOptions {
  /** Unleash's address, with or without `/api` at its end. */
  readonly url: string;
  /** An admin token, a personal access token or a service account's token. */
  readonly token: string;
  /** @default 'default' */
  readonly project?: string | undefined;
  /** The environment in which flags are read and turned off, for example `production`. */
  readonly environment: string;
  /** Time for one request and its answer, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** How often a failed request is tried again unless the call says otherwise. @default 3 */
  readonly retries?: number | undefined;
  /** The longest first pause before trying again, in milliseconds; it doubles from attempt to attempt. @default 500 */
  readonly retryDelayMs?: number | undefined;
  /** The longest pause before trying again, in milliseconds, unless Unleash asks for a longer one. @default 30_000 */
  readonly maxRetryDelayMs?: number | undefined;
  /** @default the global fetch */
  readonly fetch?: typeof fetch | undefined;
  /** @default the machine's clocks */
  readonly clock?: Clock | undefined;
}

type FlagRequest = Omit<AdminRequest, 'project' | 'environment'>;

/**
 * Speaks to Unleash's admin API about the flags of one project in one environment. It can turn a flag off and move its
 * percentage; it cannot turn a flag on.
 *
 * Every method rejects with an `AdminError`, or with the reason of the caller's signal.
 */
export class UnleashAdminClient {
  readonly project: string;
  readonly environment: string;
  readonly #baseUrl: string;
  readonly #sender: RequestSender;
  readonly #retries: number;
  readonly #backoff: Backoff;

  /** @throws {@link AdminTokenError} when the token's form shows that it is not for the admin API. */
  constructor(options: UnleashAdminClientOptions) {
    const problem = adminTokenProblem(options.token);
    if (problem !== undefined) throw new AdminTokenError(`The admin token cannot be used: ${problem}.`);
    this.#baseUrl = baseUrlOf(options.url);
    this.project = options.project ?? 'default';
    this.environment = options.environment;
    this.#sender = new RequestSender({
      baseUrl: this.#baseUrl,
      token: options.token,
      timeoutMs: options.timeoutMs ?? 5_000,
      fetch: options.fetch ?? globalThis.fetch,
      clock: options.clock ?? systemClock,
    });
    this.#retries = options.retries ?? 3;
    this.#backoff = {
      initialDelayMs: options.retryDelayMs ?? 500,
      maxDelayMs: options.maxRetryDelayMs ?? 30_000,
    };
  }

  /** The flag as it is in the environment. */
  async readFlag(flagKey: string, requestOptions: RequestOptions = {}): Promise<AdminFlag> {
    const path = this.#featurePath(flagKey);
    const { name, environments, ...flag } = await this.#read(
      flagAnswer,
      { method: 'GET', path, flagKey },
      requestOptions,
    );
    const environment = environments.find(({ name }) => name === this.environment);
    if (environment === undefined) {
      throw new AdminNotFoundError(
        `Unleash has no environment "${this.environment}" for flag "${flagKey}" (GET ${path}). ` +
          `Project "${this.project}" has: ${environments.map(({ name }) => name).join(', ')}.`,
        'environment',
        { request: `GET ${path}`, status: 200 },
      );
    }
    return { key: name, ...flag, enabled: environment.enabled, strategies: environment.strategies };
  }

  /** Turns the flag off in the environment; a flag that is off stays off. */
  async disable(flagKey: string, requestOptions: RequestOptions = {}): Promise<void> {
    const path = `${this.#featurePath(flagKey)}/environments/${encodeURIComponent(this.environment)}/off`;
    const byHand = `Turn the flag off by hand in the Unleash UI: ${this.#pageUrl(flagKey)}`;
    await this.#send({ method: 'POST', path, flagKey, byHand }, requestOptions);
  }

  /**
   * Moves the percentage of the flag's gradual rollout, but only from the percentage that is expected: what a person
   * set meanwhile stands.
   *
   * @returns `there` when it had been moved before; `refused` when the flag is off, has another percentage, or not exactly
   *   one active strategy and that a gradual rollout.
   */
  async movePercentage(
    flagKey: string,
    { from, to }: { readonly from: number; readonly to: number },
    requestOptions: RequestOptions = {},
  ): Promise<'moved' | 'there' | 'refused'> {
    const flag = await this.readFlag(flagKey, requestOptions);
    const rollout = gradualRolloutOf(flag);
    if (!flag.enabled || rollout === undefined) return 'refused';
    if (rollout.percentage === to) return 'there';
    if (rollout.percentage !== from) return 'refused';
    const environment = encodeURIComponent(this.environment);
    const path = `${this.#featurePath(flagKey)}/environments/${environment}/strategies/${encodeURIComponent(rollout.strategyId)}`;
    const byHand = `Set the percentage to ${to} % by hand in the Unleash UI: ${this.#pageUrl(flagKey)}`;
    const body = [{ op: 'replace', path: '/parameters/rollout', value: String(to) }];
    await this.#send({ method: 'PATCH', path, flagKey, body, byHand }, requestOptions);
    return 'moved';
  }

  /** Tags the flag; a tag that it already has is fine. */
  async tag(flagKey: string, tag: AdminTag, requestOptions: RequestOptions = {}): Promise<void> {
    const body = { type: tag.type, value: tag.value };
    await this.#send({ method: 'POST', path: tagsPath(flagKey), flagKey, body }, requestOptions);
  }

  /** Takes a tag off the flag; a tag that it does not have is fine. */
  async untag(flagKey: string, tag: AdminTag, requestOptions: RequestOptions = {}): Promise<void> {
    const path = `${tagsPath(flagKey)}/${encodeURIComponent(tag.type)}/${encodeURIComponent(tag.value)}`;
    await this.#send({ method: 'DELETE', path, flagKey }, requestOptions);
  }

  /** Adds a link to the flag's page, unless it has one to the same address: Unleash itself would add a second. */
  async link(flagKey: string, link: AdminLink, requestOptions: RequestOptions = {}): Promise<void> {
    const { links } = await this.readFlag(flagKey, requestOptions);
    if (links.some(({ url }) => sameAddress(url, link.url))) return;
    const path = `${this.#featurePath(flagKey)}/link`;
    await this.#send(
      { method: 'POST', path, flagKey, body: { url: link.url, title: link.title } },
      requestOptions,
    );
  }

  /** What happened to the flag in all environments, newest first. */
  async history(flagKey: string, requestOptions: RequestOptions = {}): Promise<AdminEvent[]> {
    const path = `/api/admin/events/${encodeURIComponent(flagKey)}`;
    const { events } = await this.#read(historyAnswer, { method: 'GET', path, flagKey }, requestOptions);
    return events.sort((a, b) => b.id - a.id);
  }

  async #read<S extends z.ZodType>(
    schema: S,
    request: FlagRequest,
    requestOptions: RequestOptions,
  ): Promise<z.output<S>> {
    const answer = schema.safeParse(parseJson(await this.#send(request, requestOptions)));
    if (answer.success) return answer.data;
    const wrong = answer.error.issues.map(({ path }) => path.join('.') || 'not a JSON object').slice(0, 5);
    throw new AdminResponseError(
      `Unleash answered ${request.method} ${request.path} with something unexpected (${wrong.join(', ')}). ` +
        'Check that the URL is that of Unleash itself and that its version is supported.',
      { request: `${request.method} ${request.path}`, status: 200 },
    );
  }

  #send(request: FlagRequest, requestOptions: RequestOptions): Promise<string> {
    const { signal, onRetry } = requestOptions;
    const retries = requestOptions.retries ?? this.#retries;
    const subject = { ...request, project: this.project, environment: this.environment };
    const attempt = () => this.#sender.send(subject, signal);
    return withRetries(attempt, this.#backoff, { retries, signal, onRetry });
  }

  #pageUrl(flagKey: string): string {
    return flagPageUrl({ url: this.#baseUrl, project: this.project }, flagKey);
  }

  #featurePath(flagKey: string): string {
    return `/api/admin/projects/${encodeURIComponent(this.project)}/features/${encodeURIComponent(flagKey)}`;
  }
}

function tagsPath(flagKey: string): string {
  return `/api/admin/features/${encodeURIComponent(flagKey)}/tags`;
}

/** Unleash normalises the links that it is given: no `www.`, no slash at the end. */
function sameAddress(a: string, b: string): boolean {
  const normal = (url: string) => {
    if (!URL.canParse(url)) return url;
    const { protocol, host, pathname, search, hash } = new URL(url);
    return [protocol, host.replace(/^www\./, ''), pathname.replace(/\/+$/, ''), search, hash].join(' ');
  };
  return normal(a) === normal(b);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
