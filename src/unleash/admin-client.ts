import type { z } from 'zod';
import { type Clock, systemClock } from '../support/clock.js';
import { fetchOver } from '../support/connection/connection.js';
import { AnswerTooLargeError, exchange, MIB, NoAnswerError, notOfProxy } from '../support/connection/http.js';
import type { HttpOptions } from '../support/connection/http-options.js';
import { withoutTrailingSlashes } from '../support/connection/http-schemas.js';
import { parseJson } from '../support/json.js';
import { adminTokenProblem, baseUrlOf, flagPageUrl } from './admin-access.js';
import { AdminError } from './admin-error.js';
import { type AdminRequest, errorForLongReply, errorForNoReply, errorForReply } from './admin-failure.js';
import {
  type AdminEvent,
  type AdminFlag,
  type AdminLink,
  type AdminTagType,
  flagReply,
  gradualRolloutOf,
  historyReply,
  type ShownLink,
  tagsReply,
} from './admin-replies.js';
import {
  type AdminAccess,
  apiTokensReply,
  mayDo,
  ownExpiry,
  UNKNOWN_EXPIRY,
  userReply,
  userTokensReply,
} from './admin-rights.js';

const DEFAULT_TIMEOUT_MS = 5_000;
/** A flag's history has whole strategies in it, with long lists of values. */
const MAX_REPLY_BYTES = 8 * MIB;

/** Options of {@link UnleashAdminClient}. */
export interface UnleashAdminClientOptions {
  /** Unleash's address, with or without `/api` at its end. */
  readonly url: string;
  /** An admin token, a personal access token or a service account's token. */
  readonly token: string;
  /** @default 'default' */
  readonly project?: string | undefined;
  /** The environment in which flags are read and turned off, for example `production`. */
  readonly environment: string;
  /** Time for one request and its reply, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** @default one over `http` */
  readonly fetch?: typeof fetch | undefined;
  /** @default as the environment has it */
  readonly http?: HttpOptions | undefined;
  /** @default the machine's clocks */
  readonly clock?: Clock | undefined;
  /** Called after each reply with the status 401. Must not throw. */
  readonly onUnauthorized?: (() => void) | undefined;
}

/** Options of one request. */
export interface RequestOptions {
  /** Ends the request; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

type FlagRequest = Omit<AdminRequest, 'project' | 'environment'>;

/**
 * Unleash's admin API for the flags of one project in one environment. It can turn a flag off and move its percentage;
 * it cannot turn a flag on. Each request is sent once: retries are the caller's.
 *
 * Every method rejects with an {@link AdminError}, or with the reason of the caller's signal.
 */
export class UnleashAdminClient {
  readonly project: string;
  readonly environment: string;
  readonly #baseUrl: string;
  readonly #token: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;
  readonly #onUnauthorized: (() => void) | undefined;
  /** Types of tags that Unleash has, for all that is known. */
  readonly #tagTypes = new Set<string>();

  /** @throws {@link AdminError} with code `ADMIN_TOKEN` when the token's form shows that it is not for the admin API. */
  constructor(options: UnleashAdminClientOptions) {
    const problem = adminTokenProblem(options.token);
    if (problem !== undefined) {
      throw new AdminError('ADMIN_TOKEN', `The admin token cannot be used: ${problem}.`);
    }
    this.#baseUrl = baseUrlOf(options.url);
    this.project = options.project ?? 'default';
    this.environment = options.environment;
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#fetch = fetchOver(options);
    this.#clock = options.clock ?? systemClock;
    this.#onUnauthorized = options.onUnauthorized;
  }

  /** The flag as it is in the environment. */
  async readFlag(flagKey: string, requestOptions: RequestOptions = {}): Promise<AdminFlag> {
    const path = this.#featurePath(flagKey);
    const { name, environments, ...flag } = await this.#read(
      flagReply,
      { method: 'GET', path, flagKey },
      requestOptions,
    );
    const environment = environments.find(({ name }) => name === this.environment);
    if (environment === undefined) {
      throw new AdminError(
        'ADMIN_NOT_FOUND',
        `Unleash has no environment "${this.environment}" for flag "${flagKey}" (GET ${path}). ` +
          `Project "${this.project}" has: ${environments.map(({ name }) => name).join(', ')}.`,
        { request: `GET ${path}`, status: 200, missing: 'environment' },
      );
    }
    return { key: name, ...flag, enabled: environment.enabled, strategies: environment.strategies };
  }

  /** What an operator can do in place of {@link disable}. */
  offByHand(flagKey: string): string {
    return `Turn the flag off by hand in the Unleash UI (${this.#pageUrl(flagKey)}).`;
  }

  /** Turns the flag off in the environment; a flag that is off stays off. */
  async disable(flagKey: string, requestOptions: RequestOptions = {}): Promise<void> {
    const path = `${this.#featurePath(flagKey)}/environments/${encodeURIComponent(this.environment)}/off`;
    const byHand = this.offByHand(flagKey);
    await this.#send({ method: 'POST', path, flagKey, byHand }, requestOptions);
  }

  /**
   * Moves the percentage of the flag's gradual rollout, but only from the percentage that is expected: a change that
   * an operator made meanwhile stands.
   *
   * @returns `there` when it was moved before; `refused` when the flag is off, has another percentage, or not exactly
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
    const byHand = `Set the percentage to ${to} % by hand in the Unleash UI (${this.#pageUrl(flagKey)}).`;
    const body = [{ op: 'replace', path: '/parameters/rollout', value: String(to) }];
    await this.#send({ method: 'PATCH', path, flagKey, body, byHand }, requestOptions);
    return 'moved';
  }

  /**
   * Gives the flag exactly these tags of one type; tags of other types stay. The type is made if it is missing.
   *
   * @returns whether anything had to be changed.
   */
  async setTags(
    flagKey: string,
    type: AdminTagType,
    values: readonly string[],
    requestOptions: RequestOptions = {},
  ): Promise<boolean> {
    const path = `/api/admin/features/${encodeURIComponent(flagKey)}/tags`;
    const { tags } = await this.#read(tagsReply, { method: 'GET', path, flagKey }, requestOptions);
    const present = tags.filter((tag) => tag.type === type.name);
    const added = values.filter((value) => !present.some((tag) => tag.value === value));
    const removed = present.filter(({ value }) => !values.includes(value));
    if (added.length === 0 && removed.length === 0) return false;
    if (added.length > 0) await this.#ensureTagType(type, flagKey, requestOptions);
    const body = {
      addedTags: added.map((value) => ({ type: type.name, value })),
      removedTags: removed.map(({ value }) => ({ type: type.name, value })),
    };
    await this.#send({ method: 'PUT', path, flagKey, body }, requestOptions).catch((error) => {
      this.#tagTypes.delete(type.name);
      throw error;
    });
    return true;
  }

  /**
   * Shows a link on the flag's page, in place of the one that was shown before: Unleash shows ten at most.
   *
   * @param isOurs - Recognises a link that this one replaces.
   */
  async setLink(
    flagKey: string,
    { url, title }: AdminLink,
    isOurs: (link: ShownLink) => boolean,
    requestOptions: RequestOptions = {},
  ): Promise<void> {
    const { links } = await this.readFlag(flagKey, requestOptions);
    const ours = links.find((link) => sameAddress(link.url, url)) ?? links.find(isOurs);
    if (ours !== undefined && ours.title === title && sameAddress(ours.url, url)) return;
    const path = `${this.#featurePath(flagKey)}/link${ours?.id === undefined ? '' : `/${encodeURIComponent(ours.id)}`}`;
    const method = ours?.id === undefined ? 'POST' : 'PUT';
    await this.#send({ method, path, flagKey, body: { url, title } }, requestOptions);
  }

  /** Says in Unleash's lifecycle that the flag's rollout is complete and the new path is kept, or that it is not complete after all. */
  async setComplete(
    flagKey: string,
    isComplete: boolean,
    requestOptions: RequestOptions = {},
  ): Promise<void> {
    const path = `${this.#featurePath(flagKey)}/lifecycle/${isComplete ? 'complete' : 'uncomplete'}`;
    const body = isComplete ? { status: 'kept' } : {};
    await this.#send({ method: 'POST', path, flagKey, body }, requestOptions);
  }

  /** What happened to the flag in all environments, newest first. */
  async history(flagKey: string, requestOptions: RequestOptions = {}): Promise<AdminEvent[]> {
    const path = `/api/admin/events/${encodeURIComponent(flagKey)}`;
    const { events } = await this.#read(historyReply, { method: 'GET', path, flagKey }, requestOptions);
    return events.sort((a, b) => b.id - a.id);
  }

  /**
   * What the token may do here, and when it expires. It changes nothing, and needs two requests.
   *
   * @param usedForMs - For how long the token has been in use here, at least hourly: Unleash then shows which of its user's
   *   tokens it is.
   */
  async readAccess(usedForMs: number, requestOptions: RequestOptions = {}): Promise<AdminAccess> {
    const path = '/api/admin/user';
    const reply = await this.#send({ method: 'GET', path, flagKey: '' }, requestOptions);
    // Another Unleash may show its users in another way, and accepts the token nevertheless.
    const { user, permissions } = userReply.safeParse(parseJson(reply)).data ?? {};
    const mayToggle = permissions && mayDo(permissions, 'UPDATE_FEATURE_ENVIRONMENT', this);
    const name = user?.username ?? user?.name ?? user?.email ?? undefined;
    const expiry = await this.#readExpiry(name, usedForMs, requestOptions).catch((error: unknown) => {
      if (!(error instanceof AdminError)) throw error;
      return error.retryable ? undefined : UNKNOWN_EXPIRY;
    });
    return { mayToggle, expiry };
  }

  async #ensureTagType(
    { name, description, icon }: AdminTagType,
    flagKey: string,
    requestOptions: RequestOptions,
  ): Promise<void> {
    if (this.#tagTypes.has(name)) return;
    const path = '/api/admin/tag-types';
    const request = { method: 'POST', path, flagKey, body: { name, description, icon } } as const;
    await this.#send(request, requestOptions).catch((error: unknown) => {
      // It exists; or the token may use it and not make it, which the next request shows.
      if (!(error instanceof AdminError && (error.status === 409 || error.status === 403))) throw error;
    });
    this.#tagTypes.add(name);
  }

  async #readExpiry(name: string | undefined, usedForMs: number, requestOptions: RequestOptions) {
    if (this.#token.startsWith('user:')) {
      const request = { method: 'GET', path: '/api/admin/user/tokens', flagKey: '' } as const;
      const { pats } = await this.#read(userTokensReply, request, requestOptions);
      return ownExpiry(pats, name, { now: this.#clock.now(), usedForMs });
    }
    // The user of an API token has the token's name.
    if (name === undefined) return UNKNOWN_EXPIRY;
    const path = `/api/admin/api-tokens/${encodeURIComponent(name)}`;
    const { tokens } = await this.#read(apiTokensReply, { method: 'GET', path, flagKey: '' }, requestOptions);
    const own = tokens.find(({ secret }) => secret === this.#token);
    return own === undefined
      ? UNKNOWN_EXPIRY
      : { expiresAt: own.expiresAt, isKnown: true, user: undefined, candidates: 1 };
  }

  async #read<S extends z.ZodType>(
    schema: S,
    request: FlagRequest,
    requestOptions: RequestOptions,
  ): Promise<z.output<S>> {
    const answer = schema.safeParse(parseJson(await this.#send(request, requestOptions)));
    if (answer.success) return answer.data;
    const wrong = answer.error.issues.map(({ path }) => path.join('.') || 'not a JSON object').slice(0, 5);
    throw new AdminError(
      'ADMIN_RESPONSE',
      `Unleash answered ${request.method} ${request.path} with something unexpected (${wrong.join(', ')}). ` +
        'Check that the URL is that of Unleash itself and that its version is supported.',
      { request: `${request.method} ${request.path}`, status: 200 },
    );
  }

  /** @returns the body of a successful reply. */
  async #send(flagRequest: FlagRequest, { signal }: RequestOptions): Promise<string> {
    const request = { ...flagRequest, project: this.project, environment: this.environment };
    const { method, path } = request;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const headers = {
      authorization: this.#token,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const url = `${this.#baseUrl}${path}`;
    // Of a change, only the status matters.
    const sent = { method, url, headers, body, maxBytes: MAX_REPLY_BYTES, mayCut: method !== 'GET' };
    const reply = await exchange(this.#fetch, sent, this.#timeoutMs, signal)
      .then(notOfProxy)
      .catch((error: unknown) => {
        if (error instanceof AnswerTooLargeError) throw errorForLongReply(error.message, request);
        throw error instanceof NoAnswerError ? errorForNoReply(error, request) : error;
      });
    if (reply.ok) return reply.body;
    if (reply.status === 401) this.#onUnauthorized?.();
    // A proxy between here and Unleash may repeat what it was sent.
    const withoutToken = reply.body.replaceAll(this.#token, '…');
    throw errorForReply(reply, withoutToken, request, this.#clock.now());
  }

  #pageUrl(flagKey: string): string {
    return flagPageUrl({ url: this.#baseUrl, project: this.project }, flagKey);
  }

  #featurePath(flagKey: string): string {
    return `/api/admin/projects/${encodeURIComponent(this.project)}/features/${encodeURIComponent(flagKey)}`;
  }
}

/** Unleash normalises links: no `www.`, no slash at the end. */
function sameAddress(a: string, b: string): boolean {
  const normal = (url: string) => {
    if (!URL.canParse(url)) return url;
    const { protocol, host, pathname, search, hash } = new URL(url);
    return [protocol, host.replace(/^www\./, ''), withoutTrailingSlashes(pathname), search, hash].join(' ');
  };
  return normal(a) === normal(b);
}
