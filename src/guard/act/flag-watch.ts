import type { GuardEventOf } from '../../model/event.js';
import { entryOf } from '../../model/event-table.js';
import type { Limiter } from '../../support/async/limiter.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { isAdminError } from '../../unleash/admin-error.js';
import type { GuardContext } from '../context/guard-context.js';
import type { AdminResources } from '../context/guard-resources.js';
import type { GuardMachine } from '../guard-machine.js';
import type { GuardProblem } from '../guard-status.js';

const HOUR_MS = 3_600_000;

/** Between two checks of a flag that is missing, at most. */
const MAX_PAUSE_MS = 5 * 60_000;

/** A flag that Unleash has arrives at the provider sooner than this, with any usual interval of polling. */
const ARRIVES_WITHIN_MS = 60_000;

type Missing = GuardEventOf<'flag-missing'>;

/**
 * Notices when there is nothing to guard: the flag was misspelled, archived, deleted, renamed or moved to another project. The
 * provider's definitions show it at once; the admin API, which is asked then and hourly, says what happened.
 */
export class FlagWatch {
  readonly #context: GuardContext;
  readonly #machine: GuardMachine;
  readonly #admin: UnleashAdminClient;
  readonly #checks: Limiter;
  readonly #closing = new AbortController();
  #checking: Promise<void> | undefined;
  /** Whether the provider had the flag, in its project, at the last poll; undefined before the first. */
  #isSeen: boolean | undefined;
  /** These times are by the monotonic clock. */
  #unseenFrom: number | undefined;
  #nextCheckAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #missing: Missing | undefined;

  constructor(context: GuardContext, { client, checks }: AdminResources, machine: GuardMachine) {
    this.#context = context;
    this.#machine = machine;
    this.#admin = client;
    this.#checks = checks;
  }

  /** `FLAG_MISSING` while there is nothing to guard. */
  get problems(): readonly GuardProblem[] {
    if (this.#missing === undefined) return [];
    const message = entryOf(this.#missing).log(this.#missing).line;
    return [{ code: 'FLAG_MISSING', message, since: this.#missing.at }];
  }

  /** Called on every tick of a process that leads. */
  poll(): void {
    const { clock, flags, flagKey, unleash } = this.#context;
    const facts = flags.flag(flagKey);
    const isSeen = facts !== undefined && (facts.project ?? unleash.project) === unleash.project;
    const now = clock.monotonic();
    if (isSeen !== this.#isSeen) {
      this.#isSeen = isSeen;
      this.#unseenFrom = isSeen ? undefined : now;
      this.#failures = 0;
      this.#nextCheckAt = now;
    }
    if (this.#checking !== undefined || this.#closing.signal.aborted || now < this.#nextCheckAt) return;
    this.#checking = this.#checks
      .run(() => this.#check(), this.#closing.signal)
      .catch(() => {})
      .finally(() => {
        this.#checking = undefined;
      });
  }

  /** Ends the request under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#checking;
  }

  async #check(): Promise<void> {
    const { clock, flagKey, recheckMs } = this.#context;
    const { signal } = this.#closing;
    if (signal.aborted) return;
    this.#nextCheckAt = clock.monotonic() + Math.min(recheckMs * 2 ** this.#failures, MAX_PAUSE_MS);
    this.#failures += 1;
    try {
      await this.#admin.readFlag(flagKey, { signal });
    } catch (error) {
      // Without an answer, nothing is known.
      if (signal.aborted || !isAdminError(error) || error.code !== 'ADMIN_NOT_FOUND') return;
      if (error.missing === 'address') return;
      const reason = error.missing === 'environment' ? 'environment' : await this.#reason(signal);
      if (!signal.aborted) this.#report(reason, removedText(reason) ?? error.message);
      return;
    }
    if (this.#isSeen) this.#found();
    else this.#notReceived();
  }

  /** What happened to a flag that is not there, from Unleash's history. */
  async #reason(signal: AbortSignal): Promise<Missing['reason']> {
    const { flags, flagKey, unleash } = this.#context;
    // The service's token may see other projects too.
    if ((flags.flag(flagKey)?.project ?? unleash.project) !== unleash.project) return 'moved';
    const history = await this.#admin.history(flagKey, { signal }).catch(() => []);
    const [last] = history.flatMap(({ type, project }) => {
      const reason = REASONS[type as keyof typeof REASONS];
      return reason === undefined ? [] : [{ reason, project }];
    });
    if (last?.reason === 'moved' && last.project === unleash.project) return 'not-found';
    return last?.reason ?? 'not-found';
  }

  #found(): void {
    const { clock, records } = this.#context;
    this.#failures = 0;
    this.#nextCheckAt = clock.monotonic() + HOUR_MS;
    const wasMissing = this.#missing !== undefined;
    this.#missing = undefined;
    if (wasMissing) records.emit({ type: 'flag-found', at: clock.now() });
  }

  /** Unleash has the flag, and the provider does not: a new one arrives soon, one that its token cannot see never does. */
  #notReceived(): void {
    const { clock, unleash } = this.#context;
    const arrivesAt = (this.#unseenFrom ?? clock.monotonic()) + ARRIVES_WITHIN_MS;
    if (clock.monotonic() < arrivesAt) {
      this.#nextCheckAt = Math.min(this.#nextCheckAt, arrivesAt);
      return;
    }
    const where = `project "${unleash.project}" and environment "${unleash.environment}"`;
    this.#report(
      'not-received',
      `Unleash has it, and the service has not received it: check that its client token is for ${where}, and that it reaches Unleash.`,
    );
  }

  #report(reason: Missing['reason'], message: string): void {
    if (this.#missing !== undefined) return;
    const { clock, records } = this.#context;
    const { state } = this.#machine;
    // Nobody turns on what is gone. A stop that is not confirmed yet says by itself what became of it.
    const isOver = state.status === 'stopped' && reason !== 'not-received';
    const decisionId = isOver ? state.decision.id : undefined;
    this.#missing = { type: 'flag-missing', at: clock.now(), reason, message, decisionId };
    records.emit(this.#missing);
  }
}

/** For a flag that an operator has removed, the request that failed is no help. */
function removedText(reason: Missing['reason']): string | undefined {
  if (reason !== 'archived' && reason !== 'deleted') return undefined;
  const back = reason === 'archived' ? 'revive it' : 'create it again';
  return `All users get the control. To roll it out further, ${back} in Unleash; otherwise remove the guard and the flag from the code.`;
}

/** The latest of these in the flag's history is why it is not there. */
const REASONS = {
  'feature-archived': 'archived',
  'feature-deleted': 'deleted',
  'feature-project-change': 'moved',
  'feature-created': 'not-found',
  'feature-revived': 'not-found',
} as const;
