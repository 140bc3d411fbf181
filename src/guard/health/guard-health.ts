import type { Health, HealthReason } from '../../model/health.js';
import type { Clock } from '../../support/clock.js';
import type { GuardRecords } from '../context/guard-records.js';
import { notRunning } from './checks.js';
import { type Conditions, reasonsOf, stepConditions } from './conditions.js';
import type { HealthFacts } from './health-facts.js';

/** What {@link GuardHealth} works with; a guard's context fits. */
interface GuardHealthOptions {
  readonly clock: Clock;
  readonly records: Pick<GuardRecords, 'emit'>;
}

/** Watches whether the guard can do its work, and reports when it becomes blind, and when it sees again. */
export class GuardHealth {
  readonly #options: GuardHealthOptions;
  readonly #facts: () => HealthFacts;
  #conditions: Conditions = new Map();
  #polledAt: number;
  #reported: readonly HealthReason[] = [];
  /** When the guard became blind, or began to see. */
  #since: number;

  /** @param facts - Must not throw. */
  constructor(options: GuardHealthOptions, facts: () => HealthFacts) {
    this.#options = options;
    this.#facts = facts;
    this.#polledAt = options.clock.monotonic();
    this.#since = options.clock.now();
  }

  /** The health at this moment. A guard that does not run is blind. */
  get current(): Health {
    const facts = this.#facts();
    const missing = notRunning(facts);
    if (missing !== undefined) {
      const { code, message, since = this.#since } = missing;
      return { status: 'blind', since, reasons: [{ code, message, since }] };
    }
    const reasons = reasonsOf(this.#step(facts));
    const isUnchanged = reasons.length > 0 === this.#reported.length > 0;
    const since = isUnchanged ? this.#since : this.#options.clock.now();
    return { status: reasons.length > 0 ? 'blind' : 'ok', since, reasons };
  }

  /** The guard begins to run, or has ended. */
  reset(): void {
    this.#conditions = new Map();
    this.#polledAt = this.#options.clock.monotonic();
    this.#reported = [];
    this.#since = this.#options.clock.now();
  }

  /** Called on every tick: reports what has changed. */
  poll(): void {
    const { clock, records } = this.#options;
    this.#conditions = this.#step(this.#facts());
    this.#polledAt = clock.monotonic();
    const before = this.#reported;
    const reasons = reasonsOf(this.#conditions);
    this.#reported = reasons;
    const began = without(reasons, before).map(({ code }) => code);
    const ended = without(before, reasons);
    if (began.length === 0 && ended.length === 0) return;
    const at = clock.now();
    if (reasons.length === 0 || before.length === 0) this.#since = at;
    const status = reasons.length > 0 ? 'blind' : 'ok';
    records.emit({ type: 'health', at, status, since: this.#since, reasons, began, ended });
  }

  #step(facts: HealthFacts): Conditions {
    const { clock } = this.#options;
    return stepConditions(this.#conditions, facts, clock.monotonic() - this.#polledAt, clock.now());
  }
}

/** The reasons whose codes are not among the others'. */
function without(reasons: readonly HealthReason[], others: readonly HealthReason[]): HealthReason[] {
  return reasons.filter(({ code }) => others.every((other) => other.code !== code));
}
