import type { Decision } from '../../model/shapes.js';
import type { GuardState, StopFailure } from '../../model/state.js';
import type { Clock } from '../../support/clock.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { isAdminError } from '../../unleash/admin-error.js';
import { gradualRolloutOf } from '../../unleash/admin-replies.js';
import { type Backoff, type RequestOptions, withRetries } from '../../unleash/admin-retry.js';
import type { GuardInput } from '../decide/decide.js';
import type { GuardRecords } from '../records/guard-records.js';

/** The tag that a stopped flag wears in Unleash's UI until a person turns it on again. */
export const STOPPED_TAG = { type: 'simple', value: 'stopped-by-rollout-guard' } as const;

/** How long to wait before Unleash is asked again to turn the flag off. */
const BACKOFF: Backoff = { initialDelayMs: 500, maxDelayMs: 30_000 };

/** A history that stays silent so often, while Unleash answers everything else, no longer holds a stop back. */
const HISTORY_ATTEMPTS = 3;

/** What {@link KillSwitch} works with. */
export interface KillSwitchOptions {
  readonly flagKey: string;
  readonly admin: UnleashAdminClient;
  readonly clock: Clock;
  readonly records: GuardRecords;
  /** How long a refusal, or a flag that still looks on after a stop, is left before Unleash is asked again. */
  readonly recheckMs: number;
  /** Linked to the flag after a stop. */
  readonly reportUrl: string | undefined;
  /** Receives what Unleash answered. */
  readonly onAnswer: (input: GuardInput) => void;
}

/** Everything that the guard asks of Unleash's admin API: turn off, read back, ask again, tag, link, look up who. */
export class KillSwitch {
  readonly #options: KillSwitchOptions;
  readonly #closing = new AbortController();
  #attempt: AbortController | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #recheckAt = Number.POSITIVE_INFINITY;

  constructor(options: KillSwitchOptions) {
    this.#options = options;
  }

  /**
   * Begins to turn the flag off, and keeps trying while trying can help.
   *
   * @param resumed - The decision is from an earlier run: look first whether a person turned the flag on since.
   */
  begin(decision: Decision, resumed: boolean): void {
    if (this.#attempt !== undefined || this.#closing.signal.aborted) return;
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#track(
      this.#turnOff(decision, resumed, AbortSignal.any([attempt.signal, this.#closing.signal])).finally(
        () => {
          if (this.#attempt === attempt) this.#attempt = undefined;
        },
      ),
    );
  }

  /** Called on every tick: asks Unleash again where an earlier answer left something open. */
  recheck(state: GuardState): void {
    const now = this.#options.clock.now();
    // Another process was the one to ask, and this one has taken its place.
    if (state.status === 'stopped' && this.#recheckAt === Number.POSITIVE_INFINITY) this.recheckSoon();
    if (now < this.#recheckAt || this.#attempt !== undefined) return;
    if (state.status === 'stopping' && state.failure !== undefined) this.begin(state.decision, true);
    // Stopped in Unleash, but this process has never seen that: somebody may have undone it in between.
    else if (state.status === 'stopped' && !state.seenOff) this.#readFlag();
  }

  /** The flag is off: sends no more `off`, asks again later, shows it in Unleash's UI, and looks up who turned it off. */
  stopped(decision: Decision): void {
    this.#endAttempt();
    this.#recheckLater();
    this.#track(this.#announce(decision));
  }

  /** A person turned the flag on: nothing is left to do but to take the tag off and to look up who it was. */
  reArmed(since: number): void {
    this.#endAttempt();
    this.#recheckAt = Number.POSITIVE_INFINITY;
    this.#track(this.#retract(since));
  }

  /** The guard was restarted in a state that Unleash may have left behind: ask at the next tick. */
  recheckSoon(): void {
    this.#recheckAt = this.#options.clock.now();
  }

  /** Ends every request; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#work;
  }

  async #turnOff(decision: Decision, resumed: boolean, signal: AbortSignal): Promise<void> {
    const { admin, clock, records, onAnswer, flagKey } = this.#options;
    const once = { signal, retries: 0 };
    const unread = { times: 0 };
    let isFirst = !resumed;
    const attempt = async (): Promise<GuardInput> => {
      // Between two attempts a person may have looked after the flag and turned it on again.
      if (!isFirst && (await this.#turnedOnSince(decision, once, unread))) {
        return { type: 'turned-on-since', at: clock.now() };
      }
      isFirst = false;
      if (await this.#steppedBack(decision, once)) return { type: 'stepped-back', at: clock.now() };
      await admin.disable(flagKey, once);
      const { enabled } = await admin.readFlag(flagKey, once);
      return enabled ? stillOn(clock.now()) : { type: 'off-confirmed', at: clock.now() };
    };
    const onRetry = (error: unknown) =>
      onAnswer({ type: 'off-failed', at: clock.now(), failure: failureOf(error) });
    try {
      await records.saved();
      const answer = await withRetries(attempt, BACKOFF, {
        signal,
        retries: Number.POSITIVE_INFINITY,
        onRetry,
      });
      this.#recheckLater();
      onAnswer(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.#recheckLater();
      onAnswer({ type: 'off-failed', at: clock.now(), failure: failureOf(error) });
    }
  }

  /** Goes back to the stage before, where the decision says so; whatever hinders that, the flag is turned off instead. */
  async #steppedBack(
    { rolloutPercentage, toPercentage }: Decision,
    requestOptions: RequestOptions,
  ): Promise<boolean> {
    if (rolloutPercentage === undefined || toPercentage === undefined) return false;
    const step = { from: rolloutPercentage, to: toPercentage };
    try {
      const { admin, flagKey } = this.#options;
      // `there`: an answer was lost, or another process was faster.
      return (await admin.movePercentage(flagKey, step, requestOptions)) !== 'refused';
    } catch (error) {
      if (isAdminError(error) && !error.retryable) return false;
      throw error;
    }
  }

  #readFlag(): void {
    this.#recheckLater();
    const { admin, clock, flagKey, onAnswer, records } = this.#options;
    this.#track(
      admin.readFlag(flagKey, { signal: this.#closing.signal }).then(
        (flag) =>
          onAnswer({
            type: 'flag-read',
            at: clock.now(),
            enabled: flag.enabled,
            rolloutPercentage: gradualRolloutOf(flag)?.percentage,
          }),
        // The next recheck asks again; where that cannot help, a person must know why the flag stays off here.
        (error) => {
          if (isAdminError(error) && !error.retryable) records.fault('asking Unleash for the flag', error);
        },
      ),
    );
  }

  async #announce(decision: Decision): Promise<void> {
    const { admin, flagKey, records, reportUrl } = this.#options;
    const once = { signal: this.#closing.signal };
    const tasks = [
      admin.tag(flagKey, STOPPED_TAG, once),
      ...(reportUrl === undefined
        ? []
        : [admin.link(flagKey, { url: reportUrl, title: 'Rollout report' }, once)]),
      this.#tellWho('off', decision.at),
    ];
    for (const task of await Promise.allSettled(tasks)) {
      if (task.status === 'rejected' && !this.#closing.signal.aborted) {
        records.fault('showing the stop in Unleash', task.reason);
      }
    }
  }

  async #retract(since: number): Promise<void> {
    const { admin, flagKey, records } = this.#options;
    const once = { signal: this.#closing.signal };
    const tasks = [admin.untag(flagKey, STOPPED_TAG, once), this.#tellWho('on', since)];
    for (const task of await Promise.allSettled(tasks)) {
      if (task.status === 'rejected' && !this.#closing.signal.aborted) {
        records.fault('taking the tag off in Unleash', task.reason);
      }
    }
  }

  async #tellWho(change: 'off' | 'on', since: number): Promise<void> {
    const { clock, records } = this.#options;
    const latest = await this.#latestToggle({ signal: this.#closing.signal });
    if (latest?.change !== change || latest.changedAt < since) return;
    records.emit({ type: 'unleash-history', at: clock.now(), ...latest });
  }

  async #turnedOnSince(
    decision: Decision,
    requestOptions: RequestOptions,
    unread: { times: number },
  ): Promise<boolean> {
    try {
      const latest = await this.#latestToggle(requestOptions);
      return latest?.change === 'on' && latest.changedAt > decision.at;
    } catch (error) {
      requestOptions.signal?.throwIfAborted();
      if (!isAdminError(error)) throw error;
      // Whoever may not read the history may still be allowed to turn the flag off.
      if (!error.retryable) return false;
      // Rejects as well while Unleash is down: only a history that fails alone is given up.
      await this.#options.admin.readFlag(this.#options.flagKey, requestOptions);
      if (++unread.times < HISTORY_ATTEMPTS) throw error;
      return false;
    }
  }

  async #latestToggle(requestOptions: RequestOptions) {
    const { admin, flagKey } = this.#options;
    const events = await admin.history(flagKey, requestOptions);
    const toggles = events.filter(
      ({ environment, type }) => environment === admin.environment && type in TOGGLES,
    );
    const [latest] = toggles.sort((a, b) => b.id - a.id);
    if (latest === undefined) return undefined;
    return {
      change: TOGGLES[latest.type as keyof typeof TOGGLES],
      by: latest.createdBy,
      changedAt: latest.createdAt,
    };
  }

  #endAttempt(): void {
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  #recheckLater(): void {
    this.#recheckAt = this.#options.clock.now() + this.#options.recheckMs;
  }

  #track(work: Promise<unknown>): void {
    // Without `then`, each result would hold all results before it.
    this.#work = Promise.allSettled([this.#work, work]).then(() => {});
  }
}

const TOGGLES = { 'feature-environment-enabled': 'on', 'feature-environment-disabled': 'off' } as const;

function failureOf(error: unknown): StopFailure {
  if (isAdminError(error))
    return { code: error.code, message: error.message, requiresAction: !error.retryable };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'UNKNOWN', message, requiresAction: false };
}

function stillOn(at: number): GuardInput {
  const message = 'Unleash accepted "off", and still showed the flag on when it was read back.';
  return { type: 'off-failed', at, failure: { code: 'STILL_ON', message, requiresAction: false } };
}
