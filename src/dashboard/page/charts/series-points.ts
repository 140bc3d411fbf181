import type { Annotation } from '../../../rollups/rollup.js';
import type { ArmSeries, MetricArmSeries, MetricSeries, Series } from '../../api.js';

/** A page that is open for weeks keeps no more marks than that. */
const MOST_ANNOTATIONS = 2_000;

/** A series with what is new of it: `more` begins at one of its points, or after them, in points of the same length. */
export function withNewer(series: Series, more: Series): Series {
  const from = more.at[0];
  if (from === undefined) return { ...series, last: Math.max(series.last, more.last) };
  const kept = indexFrom(series.at, from);
  return {
    ...more,
    first: Math.min(series.first, more.first),
    at: [...series.at.slice(0, kept), ...more.at],
    percentage: [...series.percentage.slice(0, kept), ...more.percentage],
    treatment: joined(series.treatment, kept, more.treatment),
    control: joined(series.control, kept, more.control),
    metrics: joinedMetrics(series.metrics, kept, more),
    annotations: joinedAnnotations(series.annotations, more.annotations),
  };
}

/** A series from a time on. */
export function since(series: Series, from: number): Series {
  const first = indexFrom(series.at, from - series.stepMs);
  return first === 0 ? series : slice(series, first, series.at.length);
}

/** Coarse points with the fine ones in their place: what is beside the range is there as soon as it is shown. */
export function withFiner(whole: Series, fine: Series): Series {
  if (fine === whole || fine.at.length === 0) return whole;
  const from = fine.at[0]!;
  const to = fine.at.at(-1)! + fine.stepMs;
  const before = slice(whole, 0, whole.at.findLastIndex((at) => at + whole.stepMs <= from) + 1);
  const after = slice(whole, indexFrom(whole.at, to), whole.at.length);
  return withNewer(withNewer(before, { ...fine, annotations: [] }), {
    ...after,
    annotations: whole.annotations,
    thresholds: whole.thresholds,
    last: whole.last,
  });
}

/** No range is shorter. */
const SHORTEST_MS = 60_000;

/** When a series ends, with what happened after its last point: a stop may end all traffic. At least a minute after it begins. */
export function endOf({ first, last, annotations }: Pick<Series, 'first' | 'last' | 'annotations'>): number {
  return Math.max(last, annotations.at(-1)?.at ?? last, first + SHORTEST_MS);
}

/** The first point at or after a time. */
export function indexFrom(at: readonly number[], time: number): number {
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

const COLUMNS = ['trials', 'failures', 'errorRate', 'low', 'high', 'p50', 'p95', 'p99', 'perSecond'] as const;

function mapArm(make: (column: (typeof COLUMNS)[number]) => readonly (number | null)[]): ArmSeries {
  return Object.fromEntries(COLUMNS.map((column) => [column, make(column)])) as unknown as ArmSeries;
}

function joined(first: ArmSeries, kept: number, then: ArmSeries): ArmSeries {
  return mapArm((column) => [...first[column].slice(0, kept), ...then[column]]);
}

function slice(series: Series, from: number, to: number): Series {
  const of = (arm: ArmSeries) => mapArm((column) => arm[column].slice(from, to));
  return {
    ...series,
    at: series.at.slice(from, to),
    percentage: series.percentage.slice(from, to),
    treatment: of(series.treatment),
    control: of(series.control),
    metrics: series.metrics.map((metric) =>
      mapMetric(metric, ({ trials, value }) => ({
        trials: trials.slice(from, to),
        value: value.slice(from, to),
      })),
    ),
  };
}

function mapMetric(
  metric: MetricSeries,
  make: (arm: MetricArmSeries, name: 'treatment' | 'control') => MetricArmSeries,
): MetricSeries {
  return {
    ...metric,
    treatment: make(metric.treatment, 'treatment'),
    control: make(metric.control, 'control'),
  };
}

/** A metric that only one of the two has was not counted in the other's time. */
function joinedMetrics(
  first: readonly MetricSeries[],
  kept: number,
  { at, metrics }: Series,
): readonly MetricSeries[] {
  const latest = new Map([...first, ...metrics].map((metric) => [metric.trigger, metric]));
  return [...latest.values()].map((metric) => {
    const find = (list: readonly MetricSeries[]) =>
      list.find(({ trigger, kind }) => trigger === metric.trigger && kind === metric.kind);
    const [before, after] = [find(first), find(metrics)];
    return mapMetric(metric, (_, arm) => ({
      trials: [
        ...(before?.[arm].trials.slice(0, kept) ?? Array(kept).fill(0)),
        ...(after?.[arm].trials ?? at.map(() => 0)),
      ],
      value: [
        ...(before?.[arm].value.slice(0, kept) ?? Array(kept).fill(null)),
        ...(after?.[arm].value ?? at.map(() => null)),
      ],
    }));
  });
}

function joinedAnnotations(first: readonly Annotation[], then: readonly Annotation[]): readonly Annotation[] {
  if (then.length === 0) return first;
  const keyOf = ({ at, type, title }: Annotation) => `${at} ${type} ${title}`;
  const known = new Set(first.map(keyOf));
  const added = then.filter((annotation) => !known.has(keyOf(annotation)));
  if (added.length === 0) return first;
  return [...first, ...added].sort((a, b) => a.at - b.at).slice(-MOST_ANNOTATIONS);
}
