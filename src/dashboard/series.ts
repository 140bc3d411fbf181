import { LatencyHistogram } from '../measure/latency-histogram.js';
import type { RolloutView } from '../model/rollout-view.js';
import type { Arm } from '../model/shapes.js';
import type { RolloutHistory, Rollup } from '../rollups/rollup.js';
import { RollupSum } from '../rollups/rollup-sum.js';
import { wilsonInterval } from '../statistics/confidence.js';
import type { ArmSeries, MetricArmSeries, MetricSeries, Series, ThresholdLine } from './api.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Lengths of points, ascending: those of ten minutes and longer are multiples of that, for rollups are no shorter there. */
const STEPS_MS = [
  ...[1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24, 48, 168].map((hours) => hours * HOUR_MS),
];

/** What is asked for. */
export interface SeriesRequest {
  /** Milliseconds since 1970. @default the beginning */
  readonly from?: number | undefined;
  /** @default the end */
  readonly to?: number | undefined;
  /** How many at most. */
  readonly points: number;
  /** In place of the step that follows from `points`: a multiple of a minute. */
  readonly stepMs?: number | undefined;
}

/**
 * A rollout as points of equal length, each with everything that happened within it. Pure.
 *
 * @param now - Until when anything is known: the last rollup may be unfinished, and nothing may have come since.
 */
export function seriesOf(
  { rollups, annotations }: RolloutHistory,
  { from, to, points, stepMs: wanted }: SeriesRequest,
  thresholds: readonly ThresholdLine[],
  now: number,
): Series {
  const first = rollups[0]?.at ?? annotations[0]?.at ?? now;
  const last = rollups.length === 0 ? first : Math.max(first, now);
  const start = Math.max(first, from ?? first);
  const end = Math.max(start, Math.min(last, to ?? last));
  const stepMs = wanted ?? stepFor(end - start, points);
  const grid = gridOf(start, end, stepMs, points);
  const bins = rollups.length === 0 ? [] : binsOf(rollups, grid, stepMs, now);
  return {
    first,
    last,
    stepMs,
    at: bins.map(({ at }) => at),
    percentage: percentagesOf(bins, rollups, start),
    treatment: armSeries('treatment', bins),
    control: armSeries('control', bins),
    metrics: metricSeries(bins),
    annotations: annotations.filter(({ at }) => at >= start && (to === undefined || at <= to)),
    thresholds,
  };
}

/** The shortest step with which a span, in milliseconds, has at most so many points. */
export function stepFor(spanMs: number, points: number): number {
  // A span that begins within a step touches one more.
  const fits = (stepMs: number) => spanMs / stepMs + 1 <= points;
  const largest = STEPS_MS.at(-1)!;
  return STEPS_MS.find(fits) ?? Math.ceil(spanMs / Math.max(1, points - 1) / largest) * largest;
}

interface Grid {
  readonly begin: number;
  readonly count: number;
}

function gridOf(start: number, end: number, stepMs: number, points: number): Grid {
  const begin = Math.floor(start / stepMs) * stepMs;
  return { begin, count: Math.min(points, Math.max(0, Math.ceil((end - begin) / stepMs))) };
}

/** What belongs to one point. */
interface Bin {
  readonly at: number;
  readonly rollups: Rollup[];
  /** How much of the time the rollups cover, in milliseconds. */
  readonly coveredMs: number;
}

/**
 * The points of the grid. Where rollups are longer than a step, the points that one of them covers are a single point: what happened within
 * it cannot be divided.
 */
function binsOf(rollups: readonly Rollup[], { begin, count }: Grid, stepMs: number, now: number): Bin[] {
  const byIndex = new Map<number, Rollup[]>();
  for (let index = firstWithin(rollups, begin); index < rollups.length; index++) {
    const rollup = rollups[index]!;
    const place = Math.max(0, Math.floor((rollup.at - begin) / stepMs));
    if (place >= count) break;
    const there = byIndex.get(place);
    if (there === undefined) byIndex.set(place, [rollup]);
    else there.push(rollup);
  }
  const bins: Bin[] = [];
  let coveredUpTo = Number.NEGATIVE_INFINITY;
  for (let place = 0; place < count; place++) {
    const at = begin + place * stepMs;
    const within = byIndex.get(place) ?? [];
    if (within.length === 0 && at < coveredUpTo) continue;
    coveredUpTo = Math.max(coveredUpTo, ...within.map(({ at, durationMs }) => at + durationMs));
    const until = Math.min(now, Math.max(at + stepMs, coveredUpTo));
    bins.push({ at, rollups: within, coveredMs: Math.max(1_000, until - at) });
  }
  return bins;
}

/** The index of the first rollup that ends after `begin`. */
function firstWithin(rollups: readonly Rollup[], begin: number): number {
  let low = 0;
  let high = rollups.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { at, durationMs } = rollups[middle]!;
    if (at + durationMs > begin) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Where nothing happened, the percentage is that of before. */
function percentagesOf(bins: readonly Bin[], rollups: readonly Rollup[], start: number): (number | null)[] {
  let latest = rollups[firstWithin(rollups, start) - 1]?.percentage;
  return bins.map((bin) => {
    const newest = bin.rollups.at(-1);
    if (newest !== undefined) latest = newest.percentage;
    return latest ?? null;
  });
}

function armSeries(arm: Arm, bins: readonly Bin[]): ArmSeries {
  const histogram = new LatencyHistogram();
  const points = bins.map(({ rollups, coveredMs }) => {
    histogram.clear();
    let [trials, failures] = [0, 0];
    for (const { arms } of rollups) {
      const { successes, failures: failed, latency } = arms[arm];
      trials += successes + failed;
      failures += failed;
      histogram.addSparse(latency);
    }
    const interval = wilsonInterval({ trials, failures });
    return {
      trials,
      failures,
      errorRate: trials === 0 ? null : failures / trials,
      low: trials === 0 ? null : interval.lower,
      high: trials === 0 ? null : interval.upper,
      p50: histogram.quantile(0.5) ?? null,
      p95: histogram.quantile(0.95) ?? null,
      p99: histogram.quantile(0.99) ?? null,
      perSecond: (trials * 1_000) / coveredMs,
    };
  });
  const column = <Key extends keyof ArmSeries>(key: Key) => points.map((point) => point[key]);
  return {
    trials: column('trials'),
    failures: column('failures'),
    errorRate: column('errorRate'),
    low: column('low'),
    high: column('high'),
    p50: column('p50'),
    p95: column('p95'),
    p99: column('p99'),
    perSecond: column('perSecond'),
  };
}

function metricSeries(bins: readonly Bin[]): MetricSeries[] {
  const sum = new RollupSum();
  const sums = bins.map(({ rollups }) => {
    if (!rollups.some(({ metrics }) => metrics !== undefined)) return [];
    sum.clear();
    for (const { metrics = [] } of rollups) for (const metric of metrics) sum.addMetric(metric);
    return sum.metrics;
  });
  // The latest kind of each, should an operator have changed it.
  const kinds = new Map(sums.flat().map(({ trigger, kind }) => [trigger, kind]));
  return [...kinds].map(([trigger, kind]) => {
    const found = sums.map((metrics) =>
      metrics.find((each) => each.trigger === trigger && each.kind === kind),
    );
    const armOf = (arm: Arm): MetricArmSeries => ({
      trials: found.map((metric) => metric?.[arm].trials ?? 0),
      value: found.map((metric) => (metric?.[arm].trials ? metric[arm].sum / metric[arm].trials : null)),
    });
    return { trigger, kind, treatment: armOf('treatment'), control: armOf('control') };
  });
}

/** The thresholds of a view's triggers that belong in a chart. Pure. */
export function thresholdsOf({ triggers, arms }: RolloutView): ThresholdLine[] {
  return triggers.flatMap(({ name: trigger, verdict, quantiles = [] }): ThresholdLine[] => {
    if (verdict === undefined) return [];
    const { rate, threshold } = verdict;
    if (rate !== undefined) {
      const value = rate === 'error' ? threshold : Number((1 - threshold).toPrecision(12));
      return [{ trigger, chart: 'error-rate', value }];
    }
    return quantiles.flatMap((chart) => {
      const controlMs = arms.control[`${chart}Ms`];
      return controlMs === undefined ? [] : [{ trigger, chart, value: threshold * controlMs }];
    });
  });
}
