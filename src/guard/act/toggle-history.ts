import type { Decision } from '../../model/shapes.js';
import type { Limiter } from '../../support/async/limiter.js';
import { withDeadline } from '../../support/deadline.js';
import { retry } from '../../support/retry.js';
import type { RequestOptions, UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY, isAdminError } from '../../unleash/admin-error.js';
import type { AdminEvent } from '../../unleash/admin-replies.js';
import type { GuardContext } from '../context/guard-context.js';
import { GUARD_TAG_TYPE } from './unleash-marks.js';

/** Turning a flag on or off in an environment. */
const TOGGLES = { 'feature-environment-enabled': 'on', 'feature-environment-disabled': 'off' } as const;

/** After these, the flag is off in every environment. */
const REMOVALS: readonly string[] = ['feature-archived', 'feature-deleted'];

/** So many attempts of one stop may fail because only the history cannot be read; later ones do without it. */
const HISTORY_ATTEMPTS = 3;

/** A first attempt to turn the flag off waits no longer for the history. */
const FIRST_ATTEMPT_MS = 1_000;

/** How long it may take to read who turned the flag off or on. */
const NAMED_WITHIN_MS = 10_000;

/** A toggle of the flag in the guard's environment. */
interface Toggle {
  readonly id: number;
  readonly change: 'off' | 'on';
  readonly by: string;
  readonly changedAt: number;
}

/** Adding and removing a tag. */
const TAGGED: readonly string[] = ['feature-tagged', 'feature-untagged'];

/** The newest *on* or *off* of a flag in one environment, by the event's id; 0 when there is none. */
export function lastToggleIdOf(events: readonly AdminEvent[], environment: string): number {
  return events.find((event) => event.type in TOGGLES && event.environment === environment)?.id ?? 0;
}

/**
 * The flag's history in Unleash: who turned it on and off, and in which order. The order is that of the events' ids, because
 * Unleash's clock and this machine's may differ.
 */
export class ToggleHistory {
  readonly #context: GuardContext;
  readonly #admin: UnleashAdminClient;
  readonly #checks: Limiter;
  readonly #onRead: (lastToggleId: number) => void;
  readonly #closing = new AbortController();
  /** Decisions of this run that fell before the history could be read. */
  readonly #early = new Set<string>();
  #lastToggleId: number | undefined;
  #attempt: AbortController | undefined;
  #reading: Promise<void> = Promise.resolve();

  /**
   * @param checks - What reads that can wait wait for; those of a stop do not.
   * @param onRead - Called with {@link lastToggleId} whenever it was read.
   */
  constructor(
    context: GuardContext,
    admin: UnleashAdminClient,
    checks: Limiter,
    onRead: (lastToggleId: number) => void,
  ) {
    this.#context = context;
    this.#admin = admin;
    this.#checks = checks;
    this.#onRead = onRead;
  }

  /** The newest toggle that is known, for a decision to refer to: 0 when there is none, undefined when that is not known. */
  get lastToggleId(): number | undefined {
    return this.#lastToggleId;
  }

  /**
   * Begins to read which toggle is the newest: when the guard begins to watch a rollout.
   *
   * @param isOther - The flag was turned on since it was read last, so that what was read is no longer the newest.
   */
  refresh(isOther: boolean): void {
    if (isOther) this.#lastToggleId = undefined;
    // What an earlier request still brings is older.
    this.#attempt?.abort();
    this.#attempt = new AbortController();
    const signal = AbortSignal.any([this.#attempt.signal, this.#closing.signal]);
    const read = async () => {
      this.#remember(await this.#checks.run(() => this.#toggles({ signal }), signal));
    };
    const policy = { ...ADMIN_RETRY, retries: Number.POSITIVE_INFINITY, keepsProcessAlive: false, signal };
    // Without the history, decisions refer to no toggle.
    const reading = retry(read, policy).catch(() => {});
    this.#reading = Promise.all([this.#reading, reading]).then(() => {});
  }

  /** The newest toggle, and whether a guard has that name in the history; undefined when there is none, or it cannot be read soon. */
  async newest(): Promise<(Toggle & { readonly isGuards: boolean }) | undefined> {
    const policy = { ...ADMIN_RETRY, keepsProcessAlive: false };
    const read = (signal: AbortSignal) =>
      retry(() => this.#checks.run(() => this.#admin.history(this.#context.flagKey, { signal }), signal), {
        ...policy,
        signal,
      });
    const events = await withDeadline(NAMED_WITHIN_MS, this.#closing.signal, read).catch(() => []);
    const [latest] = this.#togglesOf(events);
    if (latest === undefined) return undefined;
    // Only guards set and remove these tags.
    const isGuards = events.some(
      ({ type, createdBy, data }) =>
        TAGGED.includes(type) && data?.type === GUARD_TAG_TYPE.name && createdBy === latest.by,
    );
    return { ...latest, isGuards };
  }

  /** The latest toggle since a decision; undefined when there is none. */
  async since(decision: Decision, requestOptions: RequestOptions): Promise<Toggle | undefined> {
    const [latest] = await this.#toggles(requestOptions);
    if (latest === undefined) return undefined;
    const known = this.#reference(decision);
    // Of a decision that fell before the history was read, the guard's own "off" may have been read with it.
    const isEarly = this.#early.has(decision.id);
    const isNewer =
      known === undefined
        ? latest.changedAt >= decision.at
        : isEarly
          ? latest.id >= known
          : latest.id > known;
    return isNewer ? latest : undefined;
  }

  /** Whether a decision that was made right now is outdated: the flag was turned off, and on again by an operator. */
  async outdates(decision: Decision, signal: AbortSignal): Promise<boolean> {
    // Without a reference nothing distinguishes the rollout of the decision from a later one: users go first.
    if (this.#reference(decision) === undefined) {
      this.#early.add(decision.id);
      return false;
    }
    const read = (signal: AbortSignal) => this.#turnedOnSince(decision, { signal });
    try {
      return await withDeadline(FIRST_ATTEMPT_MS, signal, read);
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  /**
   * The same for a decision that is older: made before a failed request, or in an earlier run.
   *
   * @param unread - Counts the attempts of this stop in which only the history could not be read.
   * @throws AdminError that may be retried.
   */
  async turnedOnSince(
    decision: Decision,
    requestOptions: RequestOptions,
    unread: { times: number },
  ): Promise<boolean> {
    try {
      return await this.#turnedOnSince(decision, requestOptions);
    } catch (error) {
      requestOptions.signal?.throwIfAborted();
      if (!isAdminError(error)) throw error;
      // A token that may not read the history may still turn the flag off.
      if (!error.retryable) return false;
      // Rejects as well while Unleash is down: only a history that fails alone is skipped.
      await this.#admin.readFlag(this.#context.flagKey, requestOptions);
      if (++unread.times < HISTORY_ATTEMPTS) throw error;
      return false;
    }
  }

  /** Whether Unleash has the flag no longer: archived or deleted, so that no user gets it. */
  async isRemoved(requestOptions: RequestOptions): Promise<boolean> {
    const events = await this.#admin.history(this.#context.flagKey, requestOptions);
    const removal = events.find(({ type }) => /^feature-(archived|deleted|revived|created)$/.test(type));
    return removal !== undefined && REMOVALS.includes(removal.type);
  }

  /** Ends every request; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#reading;
  }

  /** An *on* counts only when an *off* lies between it and the decision: the rollout that was decided about was on. */
  async #turnedOnSince(decision: Decision, requestOptions: RequestOptions): Promise<boolean> {
    const events = await this.#admin.history(this.#context.flagKey, requestOptions);
    const toggles = this.#togglesOf(events);
    let known = this.#reference(decision);
    if (known === undefined && this.#early.has(decision.id)) known = this.#remember(toggles);
    const [on] = toggles;
    if (on?.change !== 'on') return false;
    const isOff = (event: AdminEvent) =>
      REMOVALS.includes(event.type) || this.#togglesOf([event])[0]?.change === 'off';
    if (known !== undefined)
      return on.id > known && events.some((e) => isOff(e) && known <= e.id && e.id < on.id);
    // The history could not be read before the decision: its times are all that is left.
    return events.some((event) => isOff(event) && event.id < on.id && event.createdAt > decision.at);
  }

  /** The newest toggle when it was decided. While a stop is open, none is read but the one that was under way then. */
  #reference({ lastToggleId }: Decision): number | undefined {
    return lastToggleId ?? this.#lastToggleId;
  }

  #remember([latest]: readonly Toggle[]): number {
    this.#lastToggleId = latest?.id ?? 0;
    this.#onRead(this.#lastToggleId);
    return this.#lastToggleId;
  }

  async #toggles(requestOptions: RequestOptions): Promise<Toggle[]> {
    return this.#togglesOf(await this.#admin.history(this.#context.flagKey, requestOptions));
  }

  #togglesOf(events: readonly AdminEvent[]): Toggle[] {
    return events.flatMap(({ id, type, environment, createdBy: by, createdAt: changedAt }) => {
      const change = TOGGLES[type as keyof typeof TOGGLES];
      return change === undefined || environment !== this.#admin.environment
        ? []
        : [{ id, change, by, changedAt }];
    });
  }
}
