import { z } from 'zod';
import type { Arm, Exposure, ExposureCounts } from '../model/shapes.js';
import { TimeRing } from './time-ring.js';

/** The counts of one bucket: exposures opened and completed, of the treatment and then of the control. */
const EXPOSURE_FIELDS = 4;

export const exposureBucketsSchema = z.object({
  /** The sender's bucket length: it follows from its options, and may differ from the receiver's. */
  bucketMs: z.number().positive(),
  buckets: z.array(
    z.object({
      /** The bucket's number since 1970, in units of `bucketMs`. */
      bucket: z.int(),
      /** Opened and completed of the treatment, then of the control. */
      counts: z.array(z.int().min(0)).length(EXPOSURE_FIELDS),
    }),
  ),
});

/** Exposures by the time at which they were opened. Plain JSON. */
export type ExposureBuckets = z.infer<typeof exposureBucketsSchema>;

/** More buckets would make a long window costly to add up; fewer would make a short one coarse. */
const MAX_BUCKETS = 2_000;
const BUCKETS_PER_TIMEOUT = 10;
const NONE: ExposureCounts = { due: 0, unreported: 0 };

/**
 * How many exposures have had no outcome in time, without remembering any: an outcome carries its exposure, so both are
 * counted in the bucket of the time at which the exposure was opened. What is missing in a bucket older than the timeout is
 * unreported, and an outcome that comes late corrects it by itself.
 *
 * Memory is fixed (at most 128 KB). Whole buckets become due, so an exposure becomes due between `outcomeTimeoutMs` and one bucket
 * later (a tenth of the timeout, or 1/2000 of timeout and longest window together if that is more).
 *
 * More outcomes than exposures in a bucket (one exposure completed twice) hide as many missing ones in it, never more.
 */
export class ExposureRing extends TimeRing {
  readonly #outcomeTimeoutMs: number;
  readonly #ring = new Float64Array(this.slots * EXPOSURE_FIELDS);
  /** The part of `#ring` that `takeChanges` has returned, or that came from elsewhere. */
  readonly #taken = new Float64Array(this.slots * EXPOSURE_FIELDS);
  /** Sums by window length: they change only when a bucket becomes due or expires, or when something comes late. */
  readonly #sums = new Map<number, Sum>();
  /** Whether an exposure was ever opened: a replayed log has only those with an outcome. */
  #isUsed = false;
  /** Before this time, exposures are part of a sum. */
  #dueBefore = Number.NEGATIVE_INFINITY;

  constructor(outcomeTimeoutMs: number, longestWindowMs: number) {
    const spanMs = outcomeTimeoutMs + longestWindowMs;
    const bucketMs = Math.ceil(Math.max(outcomeTimeoutMs / BUCKETS_PER_TIMEOUT, spanMs / MAX_BUCKETS));
    // The oldest bucket is still wanted while a newer one is only partly due.
    const bucketCount = Math.ceil(spanMs / bucketMs) + 1;
    super(bucketCount * bucketMs, bucketCount);
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

  /** Counts what another process counted. A bucket later than `now` counts as of `now`: the sender's clock is ahead. */
  addRemote({ bucketMs, buckets }: ExposureBuckets, now: number): void {
    this.slotAt(now);
    this.#isUsed = true;
    this.#sums.clear();
    for (const { bucket, counts } of buckets) {
      const own = Math.min(Math.floor(((bucket + 0.5) * bucketMs) / this.bucketMs), this.newest);
      if (own <= this.newest - this.slots) continue;
      const start = this.slotOf(own) * EXPOSURE_FIELDS;
      for (let field = 0; field < EXPOSURE_FIELDS; field++) {
        this.#ring[start + field]! += counts[field] ?? 0;
        this.#taken[start + field]! += counts[field] ?? 0;
      }
    }
  }

  /** What was counted here since the previous call and has not expired. */
  takeChanges(now: number): ExposureBuckets {
    this.advance(now);
    const changes = this.#bucketsUntil(this.newest, this.#taken);
    this.#taken.set(this.#ring);
    return changes;
  }

  /**
   * The exposures that are due, those from elsewhere included. The rest is left out: a process that ends loses its unfinished work, which is not the
   * arm's fault.
   */
  contents(now: number): ExposureBuckets {
    this.advance(now);
    return this.#bucketsUntil(this.#newestDue(now), NOTHING);
  }

  clear(): void {
    this.#ring.fill(0);
    this.#taken.fill(0);
    this.#sums.clear();
    this.#dueBefore = Number.NEGATIVE_INFINITY;
  }

  protected expire(slot: number): void {
    const start = slot * EXPOSURE_FIELDS;
    this.#ring.fill(0, start, start + EXPOSURE_FIELDS);
    this.#taken.fill(0, start, start + EXPOSURE_FIELDS);
  }

  #count({ at, arm }: Exposure, field: 0 | 1): void {
    const slot = this.slotAt(at);
    if (slot < 0) return;
    this.#ring[slot * EXPOSURE_FIELDS + (arm === 'treatment' ? field : 2 + field)]! += 1;
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
      const opened = this.#ring[start]!;
      due += opened;
      unreported += Math.max(0, opened - this.#ring[start + 1]!);
    }
    return { due, unreported };
  }

  /** The counts beyond `known`, which has the layout of the ring; all of them when it is empty. */
  #bucketsUntil(last: number, known: ArrayLike<number>): ExposureBuckets {
    const buckets: ExposureBuckets['buckets'][number][] = [];
    for (let bucket = this.newest - this.slots + 1; bucket <= Math.min(last, this.newest); bucket++) {
      const start = this.slotOf(bucket) * EXPOSURE_FIELDS;
      const current = this.#ring.subarray(start, start + EXPOSURE_FIELDS);
      if (current.every((count, field) => count === (known[start + field] ?? 0))) continue;
      const counts = Array.from(current, (count, field) => count - (known[start + field] ?? 0));
      buckets.push({ bucket, counts });
    }
    return { bucketMs: this.bucketMs, buckets };
  }
}

/** The sums of one window, and the buckets that they are of. */
interface Sum {
  readonly from: number;
  readonly to: number;
  readonly counts: Readonly<Record<Arm, ExposureCounts>>;
}

const NOTHING: ArrayLike<number> = [];
