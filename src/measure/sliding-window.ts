import { COUNTS_LENGTH, type CountCode, raiseCounts } from './arm-counts.js';
import { CountRing } from './count-ring.js';

/**
 * Counts of the last `windowMs` with running totals, so that reading costs the same however much happened. A bucket has
 * the treatment's counts, then the control's, in the order of `COUNT_FIELDS`. Memory is fixed (8 KB with 60 buckets, in a fleet 16 KB).
 */
export class SlidingWindow extends CountRing {
  readonly #totals = new Float64Array(COUNTS_LENGTH);

  constructor(windowMs: number) {
    super(COUNTS_LENGTH, windowMs);
  }

  /** The counts of both arms as of the last `advance` or `add`. Read at once: the array is reused. */
  get totals(): Readonly<Float64Array> {
    return this.#totals;
  }

  /** Counts an outcome that ended at `at`, unless that is before the window. */
  add(code: CountCode, at: number): void {
    const slot = this.slotAt(at);
    if (slot < 0) return;
    raiseCounts(this.ring, slot * COUNTS_LENGTH, code);
    raiseCounts(this.#totals, 0, code);
  }

  override clear(): void {
    super.clear();
    this.#totals.fill(0);
  }

  protected override countRemote(slot: number, counts: readonly number[]): void {
    super.countRemote(slot, counts);
    for (let field = 0; field < COUNTS_LENGTH; field++) this.#totals[field]! += counts[field] ?? 0;
  }

  protected override expire(slot: number): void {
    const start = slot * COUNTS_LENGTH;
    for (let field = 0; field < COUNTS_LENGTH; field++) this.#totals[field]! -= this.ring[start + field] ?? 0;
    super.expire(slot);
  }
}
