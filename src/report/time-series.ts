import { LatencyHistogram } from '../measure/latency-histogram.js';
import { ARMS, type Arm, type Outcome } from '../model/shapes.js';

/** Each width is a multiple of the one before, so that buckets can be put together; beyond, days are doubled. */
const WIDTHS_MS = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400].map((seconds) => seconds * 1000);

/** What one arm did within a stretch of time. */
export interface SeriesPoint {
  /** When the stretch begins, in milliseconds since 1970. */
  readonly from: number;
  /** When it ends, exclusive. */
  readonly to: number;
  readonly successes: number;
  readonly failures: number;
  /** Undefined without a success whose duration is known. */
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
}

/** What happened over time, arm by arm. */
export interface Series extends Readonly<Record<Arm, readonly SeriesPoint[]>> {
  /** The shortest stretch, in milliseconds; where little happened, a point stands for several of them. */
  readonly bucketMs: number;
}

/** What lies further apart is not put together. */
const MAX_PAUSE_BUCKETS = 8;

/**
 * Adds outcomes up by time without knowing beforehand how long the log will be: when the buckets become too many, they
 * are put together to wider ones. Memory is bounded: at most `maxBuckets` histograms for each arm (16 KB each).
 */
export class TimeSeries {
  readonly #maxBuckets: number;
  readonly #buckets = new Map<number, Record<Arm, ArmBucket>>();
  #width = 0;

  constructor(maxBuckets = 200) {
    this.#maxBuckets = maxBuckets;
  }

  /** Counts an outcome, unless it counts for no rate (the user's own mistake, an abort). */
  add({ at, exposure, result, durationMs }: Outcome): void {
    if (result !== 'success' && result !== 'failure') return;
    const arm = this.#bucketAt(at)[exposure.arm];
    if (result === 'failure') {
      arm.failures += 1;
      return;
    }
    arm.successes += 1;
    if (durationMs !== undefined) arm.latency.record(durationMs);
  }

  /**
   * What happened, in order of time. A rate of three outcomes means nothing: neighbouring buckets are put together until
   * a point has `minOutcomes`.
   *
   * @param cuts - Times that no point reaches across: those at which the rollout changed.
   */
  toSeries(minOutcomes: number, cuts: readonly number[]): Series {
    const order = [...this.#buckets].sort(([a], [b]) => a - b);
    const pointsOf = (arm: Arm) =>
      this.#points(
        order.map(([key, bucket]) => [key, bucket[arm]]),
        minOutcomes,
        cuts,
      );
    return { bucketMs: this.#bucketMs, treatment: pointsOf('treatment'), control: pointsOf('control') };
  }

  #points(
    buckets: readonly (readonly [key: number, bucket: ArmBucket])[],
    minOutcomes: number,
    cuts: readonly number[],
  ): SeriesPoint[] {
    const points: SeriesPoint[] = [];
    let open: { from: number; to: number; sum: ArmBucket } | undefined;
    const close = () => {
      if (open !== undefined) points.push({ from: open.from, to: open.to, ...open.sum.toPoint() });
      open = undefined;
    };
    for (const [key, bucket] of buckets) {
      if (bucket.counted === 0) continue;
      const from = key * this.#bucketMs;
      const to = from + this.#bucketMs;
      const isApart =
        open !== undefined &&
        (from - open.to > MAX_PAUSE_BUCKETS * this.#bucketMs ||
          cuts.some((cut) => open !== undefined && cut > open.from && cut < to));
      if (isApart) close();
      open ??= { from, to, sum: new ArmBucket() };
      open.to = to;
      open.sum.merge(bucket);
      if (open.sum.counted >= minOutcomes) close();
    }
    close();
    return points;
  }

  get #bucketMs(): number {
    const last = WIDTHS_MS.length - 1;
    return this.#width <= last ? WIDTHS_MS[this.#width]! : WIDTHS_MS[last]! * 2 ** (this.#width - last);
  }

  #bucketAt(at: number): Record<Arm, ArmBucket> {
    for (;;) {
      const key = Math.floor(at / this.#bucketMs);
      const known = this.#buckets.get(key);
      if (known !== undefined) return known;
      if (this.#buckets.size < this.#maxBuckets) {
        const bucket = { treatment: new ArmBucket(), control: new ArmBucket() };
        this.#buckets.set(key, bucket);
        return bucket;
      }
      this.#widen();
    }
  }

  #widen(): void {
    const before = this.#bucketMs;
    this.#width += 1;
    const factor = this.#bucketMs / before;
    const narrow = [...this.#buckets];
    this.#buckets.clear();
    for (const [key, bucket] of narrow) {
      const wideKey = Math.floor(key / factor);
      const wide = this.#buckets.get(wideKey);
      if (wide === undefined) this.#buckets.set(wideKey, bucket);
      else for (const arm of ARMS) wide[arm].merge(bucket[arm]);
    }
  }
}

class ArmBucket {
  readonly latency = new LatencyHistogram();
  successes = 0;
  failures = 0;

  get counted(): number {
    return this.successes + this.failures;
  }

  merge(other: ArmBucket): void {
    this.latency.merge(other.latency);
    this.successes += other.successes;
    this.failures += other.failures;
  }

  toPoint(): Omit<SeriesPoint, 'from' | 'to'> {
    return {
      successes: this.successes,
      failures: this.failures,
      p50Ms: this.latency.quantile(0.5),
      p95Ms: this.latency.quantile(0.95),
    };
  }
}
