import type { SettledCounts } from '../../model/snapshot.js';
import type { SettledOutcome } from '../../statistics/rollout-evidence.js';
import { CountRing } from '../count-ring.js';

/** Trials and failures of the treatment, its trials with a known chance, then trials and failures of the control. */
export const SETTLED_FIELDS = 5;

/** Settled outcomes by the time of their exposure, with running totals. */
export class SettledWindow extends CountRing {
  readonly #totals = new Float64Array(SETTLED_FIELDS);

  constructor(windowMs: number) {
    super(SETTLED_FIELDS, windowMs);
  }

  /** The counts as of the last `advance` or `add`. */
  get counts(): SettledCounts {
    const [trials, failures, randomised, controlTrials, controlFailures] = this.#totals;
    return {
      treatment: { trials: trials!, failures: failures! },
      control: { trials: controlTrials!, failures: controlFailures! },
      randomised: randomised!,
    };
  }

  add({ at, treated, chance, result }: SettledOutcome): void {
    const failed = result === 'failure' || result === 'open';
    if (!failed && result !== 'success') return;
    const slot = this.slotAt(at);
    if (slot < 0) return;
    const field = treated ? 0 : 3;
    this.#raise(slot, field);
    if (failed) this.#raise(slot, field + 1);
    if (treated && chance > 0) this.#raise(slot, 2);
  }

  override clear(): void {
    super.clear();
    this.#totals.fill(0);
  }

  protected override countRemote(slot: number, counts: readonly number[]): void {
    super.countRemote(slot, counts);
    for (let field = 0; field < SETTLED_FIELDS; field++) this.#totals[field]! += counts[field] ?? 0;
  }

  protected override expire(slot: number): void {
    const start = slot * SETTLED_FIELDS;
    for (let field = 0; field < SETTLED_FIELDS; field++)
      this.#totals[field]! -= this.ring[start + field] ?? 0;
    super.expire(slot);
  }

  #raise(slot: number, field: number): void {
    this.ring[slot * SETTLED_FIELDS + field]! += 1;
    this.#totals[field]! += 1;
  }
}
