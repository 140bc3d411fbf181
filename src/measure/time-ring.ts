/** Into how many buckets a window is divided, unless its owner sets another number. */
export const BUCKETS_PER_WINDOW = 60;

/** More than the rounding of a product that is a time since 1970 in milliseconds (2⁻¹² ms). */
const ROUNDING_MS = 0.01;

/**
 * The time of a sliding window: a ring of buckets, each `windowMs / bucketCount` long and aligned to 1970. What a bucket
 * contains is up to the subclass.
 *
 * **Resolution.** Whole buckets expire, so a window covers between `windowMs` and `windowMs` plus one bucket (1/60).
 *
 * **Clocks.** Time only moves the window forward. A clock that was set back by less than the window delays expiry by as
 * much; by more, and the next `advance` starts the window over, empty. A jump forward expires everything.
 */
export abstract class TimeRing {
  readonly windowMs: number;
  /** How long one bucket is, in milliseconds; not always whole. */
  readonly bucketMs: number;
  /** One more than `bucketCount`: while the newest bucket fills, the oldest is still needed to cover `windowMs`. */
  protected readonly slots: number;
  #newest = Number.NEGATIVE_INFINITY;
  #newestSlot = 0;
  // Times within the newest bucket, which almost all are: they need no division. The bounds lie a little inside the
  // bucket, so that rounding never puts a time in another bucket than the division would.
  #newestFrom = Number.POSITIVE_INFINITY;
  #newestUntil = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number, bucketCount = BUCKETS_PER_WINDOW) {
    this.windowMs = windowMs;
    this.bucketMs = windowMs / bucketCount;
    this.slots = bucketCount + 1;
  }

  /** The number of the newest bucket, counted from 1970; −∞ before the first. */
  protected get newest(): number {
    return this.#newest;
  }

  /** Empties the window. */
  abstract clear(): void;

  /** Empties one slot of the ring. */
  protected abstract expire(slot: number): void;

  /** Lets time pass: buckets that have left the window expire. */
  advance(now: number): void {
    const bucket = Math.floor(now / this.bucketMs);
    if (bucket > this.#newest) {
      this.#moveTo(bucket);
    } else if (bucket <= this.#newest - this.slots) {
      this.clear();
      this.#setNewest(bucket);
    }
  }

  /** The slot of a time, to which the window moves if it is new; −1 when it is before the window, or no number. */
  protected slotAt(at: number): number {
    if (at >= this.#newestFrom && at < this.#newestUntil) return this.#newestSlot;
    const bucket = Math.floor(at / this.bucketMs);
    if (bucket > this.#newest) this.#moveTo(bucket);
    // Counted back from the newest bucket: a remainder of floats would cost as much as all the rest.
    const back = this.#newest - bucket;
    if (!(back < this.slots)) return -1;
    return back <= this.#newestSlot ? this.#newestSlot - back : this.#newestSlot - back + this.slots;
  }

  protected slotOf(bucket: number): number {
    const slot = bucket % this.slots;
    return slot < 0 ? slot + this.slots : slot;
  }

  #moveTo(bucket: number): void {
    const passed = Math.min(bucket - this.#newest, this.slots);
    for (let back = 0; back < passed; back++) this.expire(this.slotOf(bucket - back));
    this.#setNewest(bucket);
  }

  #setNewest(bucket: number): void {
    this.#newest = bucket;
    this.#newestSlot = this.slotOf(bucket);
    this.#newestFrom = bucket * this.bucketMs + ROUNDING_MS;
    this.#newestUntil = (bucket + 1) * this.bucketMs - ROUNDING_MS;
  }
}
