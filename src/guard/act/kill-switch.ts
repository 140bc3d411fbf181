import type { Decision } from '../../model/shapes.js';
import type { GuardState, StopFailure } from '../../model/state.js';
import { messageOf } from '../../support/async/callbacks.js';
import { retry } from '../../support/retry.js';
import type { RequestOptions, UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY, isAdminError } from '../../unleash/admin-error.js';
import { ifItLasts } from '../../unleash/admin-failure.js';
import { type AdminFlag, gradualRolloutOf } from '../../unleash/admin-replies.js';
import type { GuardContext } from '../context/guard-context.js';
import type { GuardInput } from '../decide/decide.js';
import type { ToggleHistory } from './toggle-history.js';

/** The first recheck of a confirmed stop, in milliseconds; each further one waits twice as long, up to `recheckMs`. */
const FIRST_RECHECK_MS = 1_000;

/** A decision that is older when it reaches Unleash, in milliseconds: the process did not run, and an operator may have acted. */
const FRESH_MS = 3_000;

/**
 * Stops the flag in Unleash: turns it off, reads it back, retries for as long as that can help, and finds out who changed it.
 */
export class KillSwitch {
  readonly #context: GuardContext;
  readonly #admin: UnleashAdminClient;
  readonly #history: ToggleHistory;
  readonly #onAnswer: (input: GuardInput) => void;
  readonly #closing = new AbortController();
  #attempt: AbortController | undefined;
  /** The decision that is under way. */
  #attempted: string | undefined;
  #work: Promise<unknown> = Promise.resolve();
  /** By the monotonic clock: the wall clock may be set back. */
  #recheckAt = Number.POSITIVE_INFINITY;
  #nextRecheckMs = Number.POSITIVE_INFINITY;

  /** @param onAnswer - Receives the result of each request; must not throw. */
  constructor(
    context: GuardContext,
    admin: UnleashAdminClient,
    history: ToggleHistory,
    onAnswer: (input: GuardInput) => void,
  ) {
    this.#context = context;
    this.#admin = admin;
    this.#history = history;
    this.#onAnswer = onAnswer;
  }

  /**
   * Begins to turn the flag off, and keeps trying while trying can help.
   *
   * @param resumed - The decision is from an earlier run: an operator may have turned the flag on since, which is checked first.
   */
  begin(decision: Decision, resumed: boolean): void {
    // An operator's stop replaces a step back.
    if (this.#attempted !== decision.id) this.#endAttempt();
    if (this.#attempt !== undefined || this.#closing.signal.aborted) return;
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#attempted = decision.id;
    const signal = AbortSignal.any([attempt.signal, this.#closing.signal]);
    const end = () => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    };
    this.#track(this.#turnOff(decision, resumed, signal).finally(end));
  }

  /** Called on every tick: repeats what an earlier reply left open. */
  recheck(state: GuardState): void {
    const now = this.#context.clock.monotonic();
    // Another process sent the requests so far, and this one has replaced it.
    if (state.status === 'stopped' && this.#recheckAt === Number.POSITIVE_INFINITY) this.recheckSoon();
    if (now < this.#recheckAt || this.#attempt !== undefined) return;
    if (state.status === 'stopping' && state.failure !== undefined) this.begin(state.decision, true);
    // Stopped in Unleash, but this process has never seen that: an operator may have undone it in between.
    else if (state.status === 'stopped' && !state.seenOff) this.#readFlag();
  }

  /**
   * The flag is off: sends no more `off`, checks later, and finds out who turned it off.
   *
   * @param isRemoved - Unleash has the flag no longer, and nothing can be shown there.
   */
  stopped(decision: Decision, isRemoved: boolean): void {
    this.#endAttempt();
    // Unleash shows SDKs what it is about once per second: an operator's quick "on" leaves them no "off" to see.
    this.#nextRecheckMs = FIRST_RECHECK_MS;
    this.#recheckLater();
    if (!isRemoved) this.#reportWho('off', decision);
  }

  /** An operator turned the flag on: finds out who it was. */
  reArmed(decision: Decision): void {
    this.#endAttempt();
    this.#recheckAt = Number.POSITIVE_INFINITY;
    this.#reportWho('on', decision);
  }

  /** The stop no longer applies: sends no more `off`. */
  cancel(): void {
    this.#endAttempt();
  }

  /** The guard was restarted with a state that may be outdated: checks it at the next tick, and soon after that. */
  recheckSoon(): void {
    this.#nextRecheckMs = FIRST_RECHECK_MS;
    this.#recheckAt = this.#context.clock.monotonic();
  }

  /** Ends every request; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#work, this.#history.close()]);
  }

  async #turnOff(decision: Decision, resumed: boolean, signal: AbortSignal): Promise<void> {
    const { clock, records, flagKey } = this.#context;
    const unread = { times: 0 };
    const begunAt = clock.monotonic();
    let checkFirst = resumed;
    const attempt = async (): Promise<GuardInput> => {
      // Between two attempts an operator may have turned the flag on again.
      const isOld = clock.monotonic() - begunAt > FRESH_MS;
      if ((checkFirst || isOld) && (await this.#history.turnedOnSince(decision, { signal }, unread))) {
        return { type: 'turned-on-since', at: clock.now() };
      }
      checkFirst = true;
      if (await this.#steppedBack(decision, { signal })) return { type: 'stepped-back', at: clock.now() };
      if ((await this.#disable({ signal })) === 'removed')
        return { type: 'off-confirmed', at: clock.now(), isRemoved: true };
      const { enabled } = await this.#admin.readFlag(flagKey, { signal });
      return enabled ? this.#stillOn() : { type: 'off-confirmed', at: clock.now() };
    };
    const reportFailure = (error: unknown) =>
      this.#onAnswer({ type: 'off-failed', at: clock.now(), failure: this.#failureOf(error) });
    const shouldRetry = (error: unknown) => {
      const retryAfterMs = ADMIN_RETRY.shouldRetry(error);
      if (retryAfterMs !== false) reportFailure(error);
      return retryAfterMs;
    };
    try {
      // A process that was frozen decides on what is old: an operator may have begun another rollout since.
      const outdated = resumed ? false : this.#history.outdates(decision, signal);
      const [isOutdated] = await Promise.all([outdated, records.saved()]);
      if (isOutdated) return this.#onAnswer({ type: 'turned-on-since', at: clock.now() });
      const policy = { ...ADMIN_RETRY, retries: Number.POSITIVE_INFINITY, signal, shouldRetry };
      const answer = await retry(attempt, policy);
      this.#recheckLater();
      this.#onAnswer(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.#recheckLater();
      reportFailure(error);
    }
  }

  /** @returns `removed` when Unleash has the flag no longer, so that there is nothing to turn off. */
  async #disable(requestOptions: RequestOptions): Promise<'sent' | 'removed'> {
    try {
      await this.#admin.disable(this.#context.flagKey, requestOptions);
      return 'sent';
    } catch (error) {
      if (!isAdminError(error) || error.missing !== 'flag') throw error;
      if (await this.#history.isRemoved(requestOptions).catch(() => false)) return 'removed';
      requestOptions.signal?.throwIfAborted();
      throw error;
    }
  }

  /** Goes back to the stage before, if that was decided; where it is impossible, the flag is turned off instead. */
  async #steppedBack(
    { rolloutPercentage, toPercentage }: Decision,
    requestOptions: RequestOptions,
  ): Promise<boolean> {
    if (rolloutPercentage === undefined || toPercentage === undefined) return false;
    const step = { from: rolloutPercentage, to: toPercentage };
    try {
      // `there`: a reply was lost, or another process was faster.
      const moved = await this.#admin.movePercentage(this.#context.flagKey, step, requestOptions);
      return moved !== 'refused';
    } catch (error) {
      if (isAdminError(error) && !error.retryable) return false;
      throw error;
    }
  }

  /** What went wrong and what to do. Not every request of a stop says what can be done in its place. */
  #failureOf(error: unknown): StopFailure {
    const now = this.#admin.offByHand(this.#context.flagKey);
    const later = ifItLasts(now);
    if (!isAdminError(error)) {
      return { code: 'UNKNOWN', message: `${messageOf(error)} ${later}`, requiresAction: false };
    }
    const { code, message, retryable, byHand, missing } = error;
    // Of a flag that is gone, nothing is left to turn off.
    const isSaid = byHand !== undefined || missing === 'flag';
    const unsaid = retryable ? later : now;
    return { code, message: isSaid ? message : `${message} ${unsaid}`, requiresAction: !retryable };
  }

  #stillOn(): GuardInput {
    const { clock, flagKey } = this.#context;
    const what = 'Unleash accepted "off", and still showed the flag on when it was read back.';
    const message = `${what} ${ifItLasts(this.#admin.offByHand(flagKey))}`;
    return {
      type: 'off-failed',
      at: clock.now(),
      failure: { code: 'STILL_ON', message, requiresAction: false },
    };
  }

  #readFlag(): void {
    this.#recheckLater();
    const { clock, flagKey, records } = this.#context;
    const onFlag = (flag: AdminFlag) => {
      const rolloutPercentage = gradualRolloutOf(flag)?.percentage;
      this.#onAnswer({ type: 'flag-read', at: clock.now(), enabled: flag.enabled, rolloutPercentage });
    };
    // The next recheck repeats it; where that cannot help, an operator must know why the flag stays off here.
    const onError = (error: unknown) => {
      // That the flag is missing is reported elsewhere.
      if (isAdminError(error) && !error.retryable && error.missing !== 'flag')
        records.fault('reading the flag in Unleash', error);
    };
    this.#track(this.#admin.readFlag(flagKey, { signal: this.#closing.signal }).then(onFlag, onError));
  }

  #reportWho(change: 'off' | 'on', decision: Decision): void {
    const { clock, records } = this.#context;
    const { signal } = this.#closing;
    const report = async () => {
      const latest = await this.#history.since(decision, { signal });
      if (latest?.change !== change) return;
      const { by, changedAt } = latest;
      records.emit({ type: 'toggled', at: clock.now(), change, by, changedAt, decisionId: decision.id });
    };
    const onError = (error: unknown) => {
      if (!signal.aborted) records.fault("reading the flag's history in Unleash", error);
    };
    this.#track(retry(report, { ...ADMIN_RETRY, signal }).catch(onError));
  }

  #endAttempt(): void {
    this.#attempt?.abort();
    this.#attempt = undefined;
    this.#attempted = undefined;
  }

  #recheckLater(): void {
    const { clock, recheckMs } = this.#context;
    const waitMs = Math.min(this.#nextRecheckMs, recheckMs);
    this.#nextRecheckMs *= 2;
    this.#recheckAt = clock.monotonic() + waitMs;
  }

  #track(work: Promise<unknown>): void {
    // Without `then`, each result would keep all results before it in memory.
    this.#work = Promise.allSettled([this.#work, work]).then(() => {});
  }
}
