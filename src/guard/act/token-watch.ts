import type { GuardEventOf } from '../../model/event.js';
import { entryOf } from '../../model/event-table.js';
import { type ReportedState, TOKEN_LEVELS, type TokenLevel } from '../../model/state.js';
import { messageOf } from '../../support/async/callbacks.js';
import type { AccessReader } from '../../unleash/access-reader.js';
import { isAdminError } from '../../unleash/admin-error.js';
import type { AdminAccess, TokenExpiry } from '../../unleash/admin-rights.js';
import type { GuardContext } from '../context/guard-context.js';
import type { AdminResources } from '../context/guard-resources.js';
import type { Evaluator } from '../evaluate/evaluator.js';
import type { GuardProblem } from '../guard-status.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long before its end a token's expiry is reported. */
const EARLY_MS: Readonly<Record<TokenLevel, number>> = { '7-days': 7 * DAY_MS, '1-day': DAY_MS, expired: 0 };

/** An admin API that does not answer is reported after this: a restart of Unleash is shorter. */
const UNAVAILABLE_AFTER_MS = 5 * 60_000;

/** A refusal after the token had been accepted is checked again before it is reported: a proxy may have made it. */
const CONFIRM_AFTER_MS = 2_000;

/** What the last checks found. */
interface Refusal extends GuardProblem {
  /** By the monotonic clock. */
  readonly from: number;
  readonly isReported: boolean;
}

/**
 * Checks, while nothing depends on it, whether the guard could turn the flag off: that Unleash accepts its token, that the token
 * may do it here, and when it expires. At the start, hourly, sooner while it fails, and after each reply with the status 401.
 */
export class TokenWatch {
  readonly #context: GuardContext;
  readonly #access: AccessReader;
  readonly #evaluator: Pick<Evaluator, 'token'>;
  readonly #save: () => void;
  readonly #closing = new AbortController();
  #checking: Promise<void> | undefined;
  #failures = 0;
  /** Checks in a row in which Unleash accepted the token and did not say when it expires. */
  #unread = 0;
  /** These times are by the monotonic clock. */
  #nextCheckAt = Number.NEGATIVE_INFINITY;
  #acceptedFrom: number | undefined;
  #expiry: TokenExpiry | undefined;
  /** The level that this run reported last, and of which expiry. */
  #reported: { readonly level: TokenLevel; readonly expiresAt: number } | undefined;
  #refusal: Refusal | undefined;

  /** @param evaluator - Has what operators were notified of, by an earlier run or another leader of the fleet too. */
  constructor(
    context: GuardContext,
    { access, unauthorized }: AdminResources,
    evaluator: Pick<Evaluator, 'token'>,
    save: () => void,
  ) {
    this.#context = context;
    this.#access = access;
    this.#evaluator = evaluator;
    this.#save = save;
    unauthorized.add(() => this.#onUnauthorized());
  }

  /** What is wrong now. The code is that of the `AdminError`, or `TOKEN_EXPIRES` while the token still works. */
  get problems(): readonly GuardProblem[] {
    if (this.#refusal?.isReported) {
      const { code, message, since } = this.#refusal;
      return [{ code, message, since }];
    }
    const event = this.#expiryEvent();
    if (event === undefined) return [];
    const { level, expiresAt } = event;
    const message = entryOf(event).log(event).line;
    return [{ code: 'TOKEN_EXPIRES', message, since: expiresAt - EARLY_MS[level] }];
  }

  /** When the token expires; undefined when it does not, or that is not known. */
  get expiresAt(): number | undefined {
    return this.#expiry?.expiresAt;
  }

  /** Called on every tick of a process that leads. */
  poll(): void {
    this.#reportExpiry();
    if (this.#checking !== undefined || this.#closing.signal.aborted) return;
    if (this.#context.clock.monotonic() < this.#nextCheckAt) return;
    this.#checking = this.#check().finally(() => {
      this.#checking = undefined;
    });
  }

  /** A request was refused with the status 401: checks at the next tick. */
  #onUnauthorized(): void {
    // The check's own refusals, and those that it has found already.
    if (this.#checking !== undefined || this.#refusal !== undefined) return;
    this.#nextCheckAt = this.#context.clock.monotonic();
  }

  /** Ends the request under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#checking;
  }

  async #check(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#closing;
    const usedForMs = clock.monotonic() - (this.#acceptedFrom ?? clock.monotonic());
    try {
      this.#accepted(await this.#access.read(usedForMs, { signal }));
    } catch (error) {
      if (signal.aborted) return;
      const message = messageOf(error);
      const [code, retryable] = isAdminError(error) ? [error.code, error.retryable] : ['ADMIN_UNKNOWN', true];
      this.#refused(code, message, retryable);
    }
  }

  #accepted({ mayToggle, expiry }: AdminAccess): void {
    const { clock, records, unleash } = this.#context;
    this.#expiry = expiry ?? this.#expiry;
    this.#unread = expiry === undefined ? this.#unread + 1 : 0;
    if (mayToggle === false) {
      const where = `project "${unleash.project}" in "${unleash.environment}"`;
      this.#refused('ADMIN_PERMISSION', `The admin token may not turn flags off in ${where}.`, false);
      return;
    }
    this.#acceptedFrom ??= clock.monotonic();
    this.#failures = 0;
    const untilExpiredMs = (this.expiresAt ?? Number.POSITIVE_INFINITY) - clock.now();
    const usualMs = this.#unread > 0 ? this.#backoffMs(this.#unread - 1) : HOUR_MS;
    // A second after it expires, Unleash refuses it.
    const pauseMs = untilExpiredMs > 0 ? Math.min(usualMs, untilExpiredMs + 1_000) : usualMs;
    this.#nextCheckAt = clock.monotonic() + pauseMs;
    this.#refusal = undefined;
    const { cannotStop, warning } = this.#evaluator.token ?? {};
    if (cannotStop && untilExpiredMs > 0) {
      // A token that had expired is no longer the guard's.
      this.#notified({ cannotStop: undefined, warning: warning?.level === 'expired' ? undefined : warning });
      records.emit({ type: 'admin-available', at: clock.now() });
    }
    this.#reportExpiry();
  }

  #notified(token: ReportedState['token']): void {
    this.#evaluator.token = { ...this.#evaluator.token, ...token };
    this.#save();
  }

  #refused(code: string, message: string, retryable: boolean): void {
    const { clock, records } = this.#context;
    const now = clock.monotonic();
    const isFirst = this.#failures === 0;
    const mustConfirm = isFirst && this.#acceptedFrom !== undefined && !retryable;
    const pauseMs = mustConfirm ? CONFIRM_AFTER_MS : this.#backoffMs(this.#failures);
    this.#failures += 1;
    this.#nextCheckAt = now + pauseMs;
    const { since = clock.now(), from = now } = this.#refusal ?? {};
    // Another leader of the fleet may have notified operators since that it can.
    const isReported = this.#refusal?.isReported === true && this.#evaluator.token?.cannotStop === true;
    const isDue = retryable ? now - from >= UNAVAILABLE_AFTER_MS : !mustConfirm;
    const isNewCause = !retryable && this.#refusal?.code !== code;
    this.#refusal = { code, message, since, from, isReported: isReported || isDue };
    if (!isDue || (isReported && !isNewCause)) return;
    // The expiry is the cause, and has been reported.
    if (code === 'ADMIN_TOKEN' && this.#reported?.level === 'expired') return;
    this.#notified({ cannotStop: true });
    records.emit({ type: 'admin-unavailable', at: clock.now(), code, message });
  }

  #backoffMs(failures: number): number {
    return Math.min(this.#context.recheckMs * 2 ** failures, HOUR_MS);
  }

  /** Reports each level once: in this run, and to operators once in all runs. */
  #reportExpiry(): void {
    const event = this.#expiryEvent();
    if (event === undefined) return;
    const { level, expiresAt } = event;
    if (this.#reported?.level === level && this.#reported.expiresAt === expiresAt) return;
    this.#reported = { level, expiresAt };
    const { warning, cannotStop } = this.#evaluator.token ?? {};
    const isRepeated = warning?.level === level && warning.expiresAt === expiresAt;
    this.#context.records.emit({ ...event, isRepeated });
    if (isRepeated) return;
    this.#notified({ warning: this.#reported, cannotStop: cannotStop || level === 'expired' });
  }

  #expiryEvent(): GuardEventOf<'token-expiring'> | undefined {
    if (this.#expiry?.expiresAt === undefined) return undefined;
    const { expiresAt, user, candidates } = this.#expiry;
    const at = this.#context.clock.now();
    const level = TOKEN_LEVELS.findLast((level) => expiresAt - at <= EARLY_MS[level]);
    if (level === undefined) return undefined;
    return { type: 'token-expiring', at, level, expiresAt, user, candidates, isRepeated: false };
  }
}
