import type { Arm } from '../model/shapes.js';
import { rolloutWord } from './format.js';
import type { RolloutReport } from './rollout-report.js';

export type Form = 'wide' | 'narrow';

/** The page defines the colours, for light, dark and paper. */
const INK = 'var(--ink)';

/** Of each arm, and of each kind of threshold. */
const COLOUR = {
  treatment: 'var(--treatment)',
  control: 'var(--control)',
  rollback: 'var(--rollback)',
  review: 'var(--review)',
} as const;

/** Of all labels. */
export const TEXT = { color: INK, fontFamily: 'system-ui, sans-serif', fontSize: 12 };

/** Without the white border that is made for labels on pictures. */
const MARK_TEXT = { ...TEXT, textBorderWidth: 0 };

/** What all charts have in common. The gap makes up for fonts that are wider than those that the library measures with. */
const CHART = {
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
  const { period: shown } = report;
  return {
    ...CHART,
    useUTC: true,
    grid: { left: 62, right: form === 'wide' ? 38 : 30, top: 56, bottom: form === 'wide' ? 64 : 84 },
    xAxis: {
      ...AXIS,
      type: 'time',
      min: shown?.from,
      max: shown?.to,
      splitLine: { show: false },
      splitNumber: form === 'wide' ? 8 : 3,
      axisLabel: { ...TEXT, hideOverlap: true, formatter: timeLabelFor(report) },
    },
  };
}

/** The day at midnight, the time otherwise, with seconds where there are several labels in a minute. */
function timeLabelFor({ period }: RolloutReport): (at: number) => string {
  const isShort = period !== undefined && period.to - period.from < 600_000;
  return (at) => {
    const [, day, month, , time = ''] = new Date(at).toUTCString().split(' ');
    if (time === '00:00:00') return `${Number(day)} ${month}`;
    return isShort ? time : time.slice(0, 5);
  };
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

/** When each point of the series is drawn: in the middle of its time. */
function timesOf({ series: { at, stepMs }, period }: RolloutReport): readonly number[] {
  return at.map((from, index) => {
    const to = Math.min(at[index + 1] ?? from + stepMs, period?.to ?? Number.POSITIVE_INFINITY);
    return Math.max(from, period?.from ?? from) / 2 + to / 2;
  });
}

/** A line with these values; where there is none, it is interrupted. One that stands alone is a dot. */
export function pointsOf(report: RolloutReport, values: readonly (number | null)[]): object[] {
  return timesOf(report).map((at, index) => {
    const isAlone = (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
    return { value: [at, values[index] ?? null], symbol: isAlone ? 'circle' : 'none', symbolSize: 5 };
  });
}

/** The area between two lines, as two series: the lower one carries the upper one and is not seen. */
export function bandOf(
  report: RolloutReport,
  arm: Arm,
  low: readonly (number | null)[],
  high: readonly (number | null)[],
): object[] {
  const times = timesOf(report);
  const part = (values: readonly (number | null)[], areaStyle?: object) => ({
    type: 'line',
    stack: `${arm} interval`,
    stackStrategy: 'all',
    symbol: 'none',
    silent: true,
    emphasis: { disabled: true },
    lineStyle: { opacity: 0 },
    data: times.map((at, index) => [at, values[index] ?? null]),
    ...(areaStyle && { areaStyle }),
  });
  const width = low.map((from, index) => {
    const to = high[index] ?? null;
    return from === null || to === null ? null : to - from;
  });
  return [part(low), part(width, { color: COLOUR[arm], opacity: 0.16 })];
}

/** Vertical lines where the percentage changed, and further marks. */
export function marks(report: RolloutReport, form: Form, more: readonly object[] = []) {
  const data = [...stepMarks(report, form), ...more];
  return { symbol: 'none', silent: true, emphasis: { disabled: true }, data };
}

/** Horizontal lines for thresholds. */
export function thresholdMarks(thresholds: RolloutReport['thresholds']): object[] {
  return thresholds.map(({ label, errorRate, kind }) => ({
    yAxis: errorRate,
    lineStyle: { color: COLOUR[kind], type: 'solid', width: 1.5 },
    label: { ...MARK_TEXT, color: COLOUR[kind], position: 'insideStartBottom', formatter: label },
  }));
}

/** Stops and steps back, as strong lines with a word. */
export function decisionMarks({ decisions, period }: RolloutReport): object[] {
  return decisions.flatMap(({ decision: { at, action, dryRun } }) => {
    if (period === undefined) return [];
    const word = action === 'stop' ? 'stopped' : 'stepped back';
    return {
      xAxis: Math.min(Math.max(at, period.from), period.to),
      lineStyle: { color: COLOUR.rollback, type: dryRun ? 'dashed' : 'solid', width: 2 },
      label: {
        ...MARK_TEXT,
        color: COLOUR.rollback,
        fontWeight: 'bold',
        position: 'end',
        distance: 32,
        formatter: dryRun ? `would have ${word}` : word,
      },
    };
  });
}

/** The times in which a review was open. */
export function reviewAreas({ reviews, period }: RolloutReport) {
  if (period === undefined) return undefined;
  const { from, to } = period;
  const within = (at: number) => Math.min(Math.max(at, from), to);
  return {
    silent: true,
    emphasis: { disabled: true },
    itemStyle: { color: COLOUR.review, opacity: 0.14 },
    data: reviews.map(({ openedAt, closedAt = to }) => [
      { xAxis: within(openedAt) },
      { xAxis: Math.max(within(closedAt), within(openedAt) + (to - from) / 400) },
    ]),
  };
}

/** Labels of steps that come soon after each other go to a second row, and further ones are left out. */
function stepMarks({ rollout, period }: RolloutReport, form: Form): object[] {
  if (period === undefined) return [];
  const labelMs = (LABEL_PIXELS / (form === 'wide' ? 860 : 340)) * (period.to - period.from);
  const freeFrom = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return rollout.map((step) => {
    const at = Math.min(Math.max(step.at, period.from), period.to);
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
