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

/** What lies further apart is not put together, and no line is drawn across it. */
export const MAX_PAUSE_BUCKETS = 8;

/** Of each arm; a histogram in each takes 16 KB. */
const MAX_BUCKETS = 200;

/** Operations that went well or badly, with the durations of the former. */
export class Tally {
  readonly latency = new LatencyHistogram();
  successes = 0;
  failures = 0;

  get counted(): number {
    return this.successes + this.failures;
  }

  add(isSuccess: boolean, durationMs: number | undefined): void {
    if (isSuccess) this.successes += 1;
    else this.failures += 1;
    if (isSuccess && durationMs !== undefined) this.latency.record(durationMs);
  }

  merge(other: Tally): void {
    this.latency.merge(other.latency);
    this.successes += other.successes;
    this.failures += other.failures;
  }
}

/**
 * Adds outcomes up by time without knowing beforehand how long the log will be: when the buckets become too many, they
 * are put together to wider ones, so that memory is bounded.
 */
export class TimeSeries {
  readonly #buckets = new Map<number, Record<Arm, Tally>>();
  #bucketMs = WIDTHS_MS[0]!;

  /** Counts an outcome, unless it counts for no rate (the user's own mistake, an abort). */
  add({ at, exposure, result, durationMs }: Outcome): void {
    if (result !== 'success' && result !== 'failure') return;
    this.#bucketAt(at)[exposure.arm].add(result === 'success', durationMs);
  }

  /**
   * What happened, in order of time. A rate of three outcomes means nothing: neighbouring buckets are put together until
   * a point has `minOutcomes`.
   *
   * @param cuts - Times that no point reaches across: those at which the rollout changed.
   */
  toSeries(minOutcomes: number, cuts: readonly number[]): Series {
    const pointsOf = (arm: Arm) => this.#points(arm, minOutcomes, cuts);
    return { bucketMs: this.#bucketMs, treatment: pointsOf('treatment'), control: pointsOf('control') };
  }

  #points(arm: Arm, minOutcomes: number, cuts: readonly number[]): SeriesPoint[] {
    const bucketMs = this.#bucketMs;
    const stretches: { readonly from: number; to: number; readonly sum: Tally }[] = [];
    for (const [key, bucket] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      if (bucket[arm].counted === 0) continue;
      const from = key * bucketMs;
      const to = from + bucketMs;
      const last = stretches.at(-1);
      const isApart =
        last === undefined ||
        last.sum.counted >= minOutcomes ||
        from - last.to > MAX_PAUSE_BUCKETS * bucketMs ||
        cuts.some((cut) => cut > last.from && cut < to);
      const open = isApart ? { from, to, sum: new Tally() } : last;
      if (isApart) stretches.push(open);
      open.to = to;
      open.sum.merge(bucket[arm]);
    }
    return stretches.map(({ from, to, sum: { successes, failures, latency } }) => ({
      from,
      to,
      successes,
      failures,
      p50Ms: latency.quantile(0.5),
      p95Ms: latency.quantile(0.95),
    }));
  }

  #bucketAt(at: number): Record<Arm, Tally> {
    for (;;) {
      const key = Math.floor(at / this.#bucketMs);
      const known = this.#buckets.get(key);
      if (known !== undefined) return known;
      if (this.#buckets.size < MAX_BUCKETS) {
        const bucket = { treatment: new Tally(), control: new Tally() };
        this.#buckets.set(key, bucket);
        return bucket;
      }
      this.#widen();
    }
  }

  #widen(): void {
    const before = this.#bucketMs;
    this.#bucketMs = WIDTHS_MS.find((width) => width > before) ?? before * 2;
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
