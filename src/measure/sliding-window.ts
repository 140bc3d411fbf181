import { z } from 'zod';
import { COUNTS_LENGTH, type CountCode, raiseCounts } from './arm-counts.js';
import { TimeRing } from './time-ring.js';

export const bucketCountsSchema = z.object({
  /** The bucket's number since 1970, in units of the window's bucket length. */
  bucket: z.int(),
  /** The treatment's counts, then the control's, in the order of `COUNT_FIELDS`. */
  counts: z.array(z.int().min(0)).length(COUNTS_LENGTH),
});

/** The counts in one bucket of a window. */
export type BucketCounts = z.infer<typeof bucketCountsSchema>;

/**
 * Counts of the last `windowMs` with running totals, so that reading costs the same however much happened. Memory is
 * fixed (16 KB with 60 buckets).
 */
export class SlidingWindow extends TimeRing {
  readonly #ring = new Float64Array(this.slots * COUNTS_LENGTH);
  /** The part of `#ring` that `takeChanges` has returned, or that came from elsewhere. */
  readonly #taken = new Float64Array(this.slots * COUNTS_LENGTH);
  readonly #totals = new Float64Array(COUNTS_LENGTH);

  /** The counts of both arms as of the last `advance` or `add`. Read at once: the array is reused. */
  get totals(): Readonly<Float64Array> {
    return this.#totals;
  }

  /** Counts an outcome that ended at `at`, unless that is before the window. */
  add(code: CountCode, at: number): void {
    const slot = this.slotAt(at);
    if (slot < 0) return;
    raiseCounts(this.#ring, slot * COUNTS_LENGTH, code);
    raiseCounts(this.#totals, 0, code);
  }

  /**
   * Counts what another process counted, unless that is before the window. A bucket later than `now` counts as of
   * `now`: the sender's clock is ahead, and must not expire the counts of this process.
   */
  addRemote({ bucket, counts }: BucketCounts, now: number): void {
    this.slotAt(now);
    const known = Math.min(bucket, this.newest);
    if (known <= this.newest - this.slots) return;
    const start = this.slotOf(known) * COUNTS_LENGTH;
    for (let field = 0; field < COUNTS_LENGTH; field++) {
      const count = counts[field] ?? 0;
      this.#ring[start + field]! += count;
      this.#taken[start + field]! += count;
      this.#totals[field]! += count;
    }
  }

  /** What was counted here since the previous call and is still within the window. */
  takeChanges(): BucketCounts[] {
    const changes = this.#buckets(this.#taken);
    this.#taken.set(this.#ring);
    return changes;
  }

  /** All counts within the window, those from elsewhere included. */
  contents(): BucketCounts[] {
    return this.#buckets(NOTHING);
  }

  clear(): void {
    this.#ring.fill(0);
    this.#taken.fill(0);
    this.#totals.fill(0);
  }

  protected expire(slot: number): void {
    const start = slot * COUNTS_LENGTH;
    for (let field = 0; field < COUNTS_LENGTH; field++) this.#totals[field]! -= this.#ring[start + field]!;
    this.#ring.fill(0, start, start + COUNTS_LENGTH);
    this.#taken.fill(0, start, start + COUNTS_LENGTH);
  }

  /** The counts beyond `known`, which has the layout of the ring; all of them when it is empty. */
  #buckets(known: ArrayLike<number>): BucketCounts[] {
    const buckets: BucketCounts[] = [];
    for (let back = this.slots - 1; back >= 0; back--) {
      const bucket = this.newest - back;
      const start = this.slotOf(bucket) * COUNTS_LENGTH;
      const counts = this.#ring.subarray(start, start + COUNTS_LENGTH);
      if (counts.every((count, field) => count === (known[start + field] ?? 0))) continue;
      buckets.push({
        bucket,
        counts: Array.from(counts, (count, field) => count - (known[start + field] ?? 0)),
      });
    }
    return buckets;
  }
}

const NOTHING: ArrayLike<number> = [];
