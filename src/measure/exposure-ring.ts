import type { Arm, Exposure } from '../model/shapes.js';
import type { ExposureCounts } from '../model/snapshot.js';
import { type BucketCounts, CountRing } from './count-ring.js';

/** The counts of one bucket: exposures opened and completed, of the treatment and then of the control. */
export const EXPOSURE_FIELDS = 4;

/** More buckets would make a long window costly to add up; fewer would make a short one coarse. */
const MAX_BUCKETS = 2_000;
const BUCKETS_PER_TIMEOUT = 10;
const NONE: ExposureCounts = { due: 0, unreported: 0 };

/**
 * How many exposures have had no outcome in time, without remembering any: an outcome carries its exposure, so both are
 * counted in the bucket of the time at which the exposure was opened. What is missing in a bucket older than the timeout is
 * unreported, and an outcome that comes late corrects it by itself.
 *
 * Memory is fixed (at most 64 KB, in a fleet 128 KB). Whole buckets become due, so an exposure becomes due between `outcomeTimeoutMs` and
 * one bucket later (a tenth of the timeout, or 1/2000 of timeout and longest window together if that is more).
 *
 * More outcomes than exposures in a bucket (one exposure completed twice) hide as many missing ones in it, never more.
 */
export class ExposureRing extends CountRing {
  readonly #outcomeTimeoutMs: number;
  /** Sums by window length: they change only when a bucket becomes due or expires, or when something comes late. */
  readonly #sums = new Map<number, Sum>();
  /** Whether an exposure was ever opened: a replayed log has only those with an outcome. */
  #isUsed = false;
  /** The newest bucket that `takeUnfinished` has counted. */
  #takenUpTo = Number.NEGATIVE_INFINITY;
  /** Before this time, exposures are part of a sum. */
  #dueBefore = Number.NEGATIVE_INFINITY;

  constructor(outcomeTimeoutMs: number, longestWindowMs: number) {
    const spanMs = outcomeTimeoutMs + longestWindowMs;
    const bucketMs = Math.ceil(Math.max(outcomeTimeoutMs / BUCKETS_PER_TIMEOUT, spanMs / MAX_BUCKETS));
    // The oldest bucket is still wanted while a newer one is only partly due.
    const bucketCount = Math.ceil(spanMs / bucketMs) + 1;
    super(EXPOSURE_FIELDS, bucketCount * bucketMs, bucketCount);
    this.#outcomeTimeoutMs = outcomeTimeoutMs;
  }

  /** Counts an exposure: an outcome is awaited. */
  open(exposure: Exposure): void {
    this.#isUsed = true;
    this.#count(exposure, 0);
  }

  /** Counts an exposure's outcome, or that none is awaited any more. */
  complete(exposure: Exposure): void {
    this.#count(exposure, 1);
  }

  /** The exposures that became due within the last `windowMs`. */
  counts(windowMs: number, now: number): Readonly<Record<Arm, ExposureCounts>> {
    if (!this.#isUsed) return { treatment: NONE, control: NONE };
    this.advance(now);
    const to = Math.min(this.#newestDue(now), this.newest);
    const from = Math.max(
      Math.floor((now - this.#outcomeTimeoutMs - windowMs) / this.bucketMs),
      this.newest - this.slots + 1,
    );
    const known = this.#sums.get(windowMs);
    if (known?.from === from && known.to === to) return known.counts;
    this.#dueBefore = Math.max(this.#dueBefore, (to + 1) * this.bucketMs);
    const counts = { treatment: this.#sum(from, to, 0), control: this.#sum(from, to, 2) };
    this.#sums.set(windowMs, { from, to, counts });
    return counts;
  }

  /**
   * The exposures that became due since the previous call and have no outcome. One bucket later than they are due: other processes
   * send their outcomes a moment after they ended.
   */
  takeUnfinished(now: number): Readonly<Record<Arm, number>> {
    if (!this.#isUsed) return { treatment: 0, control: 0 };
    this.advance(now);
    const to = Math.min(this.#newestDue(now), this.newest) - 1;
    // A clock that was set back far.
    if (to < this.#takenUpTo - this.slots) this.#takenUpTo = to;
    const from = Math.max(this.#takenUpTo + 1, this.newest - this.slots + 1);
    this.#takenUpTo = Math.max(this.#takenUpTo, to);
    return {
      treatment: this.#sum(from, to, 0).unreported,
      control: this.#sum(from, to, 2).unreported,
    };
  }

  /** What is due now was counted by an earlier run. */
  skipUnfinished(now: number): void {
    this.#takenUpTo = Math.max(this.#takenUpTo, this.#newestDue(now));
  }

  /** Whether {@link dueBuckets} leaves any exposure out. */
  hasUndue(now: number): boolean {
    return this.dueBuckets(now).length < this.contents().length;
  }

  /** The exposures that are due; a process that ends loses its unfinished work, which is not the arm's fault. */
  dueBuckets(now: number): BucketCounts[] {
    this.advance(now);
    return this.contents(this.#newestDue(now));
  }

  override clear(): void {
    super.clear();
    this.#sums.clear();
    this.#dueBefore = Number.NEGATIVE_INFINITY;
  }

  protected override countRemote(slot: number, counts: readonly number[]): void {
    super.countRemote(slot, counts);
    this.#isUsed = true;
    this.#sums.clear();
  }

  #count({ at, arm }: Exposure, field: 0 | 1): void {
    const slot = this.slotAt(at);
    if (slot < 0) return;
    this.ring[slot * EXPOSURE_FIELDS + (arm === 'treatment' ? field : 2 + field)]! += 1;
    if (at < this.#dueBefore) this.#sums.clear();
  }

  /** The newest bucket of which every exposure is older than the timeout. */
  #newestDue(now: number): number {
    return Math.floor((now - this.#outcomeTimeoutMs) / this.bucketMs) - 1;
  }

  #sum(from: number, to: number, field: 0 | 2): ExposureCounts {
    let due = 0;
    let unreported = 0;
    for (let bucket = from; bucket <= to; bucket++) {
      const start = this.slotOf(bucket) * EXPOSURE_FIELDS + field;
      const opened = this.ring[start]!;
      due += opened;
      unreported += Math.max(0, opened - this.ring[start + 1]!);
    }
    return { due, unreported };
  }
}

/** The sums of one window, and the buckets that they are of. */
interface Sum {
  readonly from: number;
  readonly to: number;
  readonly counts: Readonly<Record<Arm, ExposureCounts>>;
}
