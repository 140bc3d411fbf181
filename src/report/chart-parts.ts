import { ARMS, type Arm } from '../model/shapes.js';
import { rolloutWord } from './format.js';
import type { RolloutReport } from './rollout-report.js';
import { MAX_PAUSE_BUCKETS, type SeriesPoint } from './time-series.js';

export type Form = 'wide' | 'narrow';

/** The page defines the colours, for light, dark and paper. */
const INK = 'var(--ink)';

/** Of each arm, and of each kind of threshold. */
export const COLOUR = {
  treatment: 'var(--treatment)',
  control: 'var(--control)',
  rollback: 'var(--rollback)',
  review: 'var(--review)',
  stage: 'var(--stage)',
} as const;

/** Of all labels. */
export const TEXT = { color: INK, fontFamily: 'system-ui, sans-serif', fontSize: 12 };

/** Without the white border that is made for labels on pictures. */
const MARK_TEXT = { ...TEXT, textBorderWidth: 0 };

/** What all charts have in common. The gap makes up for fonts that are wider than those that the library measures with. */
export const CHART = {
  animation: false,
  textStyle: TEXT,
  legend: { bottom: 0, textStyle: TEXT, itemHeight: 8, itemGap: 26, itemWidth: 28 },
};

const FAINT = { lineStyle: { color: 'var(--line)' } };

/** The lines of an axis. */
export const AXIS = { axisLine: FAINT, axisTick: FAINT, splitLine: FAINT };

/** Room for `100 %`, in pixels. */
const LABEL_PIXELS = 44;

/** What the charts over time have in common. */
export function frame(report: RolloutReport, form: Form) {
  const shown = spanOf(report);
  return {
    ...CHART,
    useUTC: true,
    grid: { left: 62, right: form === 'wide' ? 30 : 16, top: 48, bottom: form === 'wide' ? 64 : 84 },
    xAxis: {
      ...AXIS,
      type: 'time',
      min: shown?.from,
      max: shown?.to,
      splitLine: { show: false },
      splitNumber: form === 'wide' ? 8 : 3,
      axisLabel: { ...TEXT, hideOverlap: true, formatter: timeLabel },
    },
  };
}

/** The day at midnight, the time otherwise. */
function timeLabel(at: number): string {
  const [, day, month, , time = ''] = new Date(at).toUTCString().split(' ');
  return time === '00:00:00' ? `${Number(day)} ${month}` : time.slice(0, 5);
}

/** The control is dashed: colours alone are lost on paper and to some eyes. */
export function line(name: string, arm: Arm, width = 2) {
  return {
    name,
    type: 'line',
    symbol: 'none',
    lineStyle: { color: COLOUR[arm], width, type: arm === 'control' ? [6, 4] : 'solid' },
    itemStyle: { color: COLOUR[arm] },
    emphasis: { disabled: true },
  };
}

/** The points of a line, each in the middle of its stretch; a long pause interrupts the line. */
export function pointsOf(
  { series, rollout }: RolloutReport,
  arm: Arm,
  pick: (point: SeriesPoint) => number | undefined,
): object[] {
  const points: { value: [number, number | null]; symbol: string; symbolSize: number }[] = [];
  let previous: SeriesPoint | undefined;
  for (const point of series[arm]) {
    const value = pick(point);
    if (value === undefined) continue;
    const isJoined =
      previous !== undefined &&
      point.from - previous.to <= MAX_PAUSE_BUCKETS * series.bucketMs &&
      !(arm === 'treatment' && wasOffBetween(rollout, previous.from, point.from));
    if (isJoined) points.at(-1)!.symbol = 'none';
    else if (previous !== undefined) {
      points.push({ value: [previous.to, null], symbol: 'none', symbolSize: 0 });
    }
    // A line needs two points: one that stands alone is drawn as a dot.
    const symbol = isJoined ? 'none' : 'circle';
    points.push({ value: [(point.from + point.to) / 2, value], symbol, symbolSize: 5 });
    previous = point;
  }
  return points;
}

function wasOffBetween(rollout: RolloutReport['rollout'], from: number, to: number): boolean {
  return rollout.some(({ at, enabled }) => !enabled && at >= from && at <= to);
}

/** From the first point to the end of the last; undefined without any. */
export function spanOf({ series }: RolloutReport): RolloutReport['period'] {
  const points = ARMS.flatMap((arm) => series[arm]);
  const from = Math.min(...points.map(({ from }) => from));
  const to = Math.max(...points.map(({ to }) => to));
  return points.length === 0 ? undefined : { from, to };
}

/** Vertical lines where the percentage changed, and further marks. */
export function marks(report: RolloutReport, form: Form, more: readonly object[] = []) {
  const data = [...stepMarks(report, form), ...more];
  return { symbol: 'none', silent: true, emphasis: { disabled: true }, data };
}

/** Horizontal lines for thresholds. */
export function thresholdMarks(thresholds: RolloutReport['thresholds']): object[] {
  return thresholds.map(({ label, successRate, kind }) => ({
    yAxis: successRate,
    lineStyle: { color: COLOUR[kind], type: 'solid', width: 1.5 },
    label: { ...MARK_TEXT, color: COLOUR[kind], position: 'insideStartBottom', formatter: label },
  }));
}

/** Labels of steps that come soon after each other go to a second row, and further ones are left out. */
function stepMarks(report: RolloutReport, form: Form): object[] {
  const shown = spanOf(report);
  if (shown === undefined) return [];
  const labelMs = (LABEL_PIXELS / (form === 'wide' ? 860 : 340)) * (shown.to - shown.from);
  const freeFrom = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return report.rollout.map((step) => {
    const at = Math.min(Math.max(step.at, shown.from), shown.to);
    const row = freeFrom.findIndex((free) => at >= free);
    if (row >= 0) freeFrom[row] = at + labelMs;
    return {
      xAxis: at,
      lineStyle: { color: INK, type: 'dotted', width: 1 },
      label: {
        ...MARK_TEXT,
        show: row >= 0,
        position: 'end',
        distance: row === 1 ? 19 : 5,
        formatter: rolloutWord(step),
      },
    };
  });
}
