import { z } from 'zod';
import { TimeRing } from './time-ring.js';

/** The counts in one bucket of a {@link CountRing} with so many of them. */
export function bucketCountsSchema(fields: number) {
  return z.object({
    /** The bucket's number since 1970, in units of the ring's bucket length. */
    bucket: z.int(),
    counts: z.array(z.int().min(0)).length(fields),
  });
}

const NOTHING: Float64Array = new Float64Array(0);

/** The counts in one bucket. */
export type BucketCounts = z.infer<ReturnType<typeof bucketCountsSchema>>;

/** Counts by time bucket that other processes' counts are added to, and that returns its own as changes. */
export abstract class CountRing extends TimeRing {
  /** Allocated by the first count: most flags of many have none. */
  protected ring: Float64Array = NOTHING;
  /** The part of `ring` that `takeChanges` has returned, or that came from elsewhere; without either, nothing is allocated. */
  #taken = NOTHING;
  readonly #fields: number;

  /** @param fields - How many counts each bucket has. */
  constructor(fields: number, windowMs: number, bucketCount?: number) {
    super(windowMs, bucketCount);
    this.#fields = fields;
  }

  /** The slot to count in. */
  protected override slotAt(at: number): number {
    if (this.ring.length === 0) this.ring = new Float64Array(this.slots * this.#fields);
    return super.slotAt(at);
  }

  /**
   * Counts what another process counted, unless that is before the window. A bucket later than `now` counts as of
   * `now`: the sender's clock is ahead, and must not expire the counts of this process.
   *
   * @param bucketMs - The sender's bucket length: it follows from its options, and may differ from the receiver's.
   */
  addRemote(buckets: readonly BucketCounts[], bucketMs: number, now: number): void {
    this.slotAt(now);
    for (const { bucket, counts } of buckets) {
      const own = Math.min(Math.floor(((bucket + 0.5) * bucketMs) / this.bucketMs), this.newest);
      if (own > this.newest - this.slots) this.countRemote(this.slotOf(own), counts);
    }
  }

  /** What was counted here since the previous call and is still within the window. */
  takeChanges(): BucketCounts[] {
    const changes = this.#buckets(this.#taken, this.newest);
    if (changes.length > 0) this.#allTaken.set(this.ring);
    return changes;
  }

  /** All counts within the window up to the bucket `last`, those from elsewhere included. */
  contents(last = this.newest): BucketCounts[] {
    return this.#buckets([], last);
  }

  clear(): void {
    this.ring.fill(0);
    this.#taken.fill(0);
  }

  protected countRemote(slot: number, counts: readonly number[]): void {
    const start = slot * this.#fields;
    const taken = this.#allTaken;
    for (let field = 0; field < this.#fields; field++) {
      this.ring[start + field]! += counts[field] ?? 0;
      taken[start + field]! += counts[field] ?? 0;
    }
  }

  protected expire(slot: number): void {
    const start = slot * this.#fields;
    this.ring.fill(0, start, start + this.#fields);
    this.#taken.fill(0, start, start + this.#fields);
  }

  get #allTaken(): Float64Array {
    if (this.#taken.length === 0) this.#taken = new Float64Array(this.ring.length);
    return this.#taken;
  }

  /** The counts beyond `known`, which has the layout of the ring; all of them when it is empty. */
  #buckets(known: ArrayLike<number>, last: number): BucketCounts[] {
    const buckets: BucketCounts[] = [];
    if (this.ring.length === 0) return buckets;
    for (let back = this.slots - 1; back >= 0; back--) {
      const bucket = this.newest - back;
      if (bucket > last) break;
      const start = this.slotOf(bucket) * this.#fields;
      const counts = this.ring.subarray(start, start + this.#fields);
      if (counts.every((count, field) => count === (known[start + field] ?? 0))) continue;
      buckets.push({
        bucket,
        counts: Array.from(counts, (count, field) => count - (known[start + field] ?? 0)),
      });
    }
    return buckets;
  }
}
