import type { EChartsCoreOption } from 'echarts/core';
import { ARMS } from '../model/shapes.js';
import {
  AXIS,
  CHART,
  COLOUR,
  type Form,
  frame,
  line,
  marks,
  pointsOf,
  spanOf,
  TEXT,
  thresholdMarks,
} from './chart-parts.js';
import { formatCount, formatLatency, formatShare, formatTime, rolloutWord } from './format.js';
import type { RolloutReport } from './rollout-report.js';
import type { SeriesPoint } from './time-series.js';

/** What a chart shows; undefined where there is nothing to show. */
interface ChartOption {
  readonly description: string;
  readonly height?: number;
  make(form: Form): EChartsCoreOption;
}

/** The success rate of each arm, with the thresholds and the percentage steps. */
export function successRateOption(report: RolloutReport): ChartOption | undefined {
  const { thresholds, arms } = report;
  const shown = spanOf(report);
  if (shown === undefined) return undefined;
  const words = ARMS.map((arm) => `${arm}: ${formatShare(arms[arm].successRate)}`).join(', ');
  const lasting = thresholds.filter(({ during }) => during === undefined);
  const limits = lasting.map(({ label }) => label).join(', ');
  const stageLines = thresholds.flatMap(({ during, successRate }) => {
    if (during === undefined) return [];
    const ends = [during.from, Math.min(during.to, shown.to)];
    return {
      ...line('stage minimum', 'treatment'),
      lineStyle: { color: COLOUR.stage, width: 1.5, type: [2, 3] },
      itemStyle: { color: COLOUR.stage },
      data: ends.map((at) => [at, successRate]),
    };
  });
  return {
    description: `Success rate of each arm (overall ${words})${limits === '' ? '' : `; thresholds: ${limits}`}. ${stepWords(report)}`,
    make: (form) => ({
      ...frame(report, form),
      yAxis: {
        ...AXIS,
        type: 'value',
        max: 1,
        min: lowestShown(report),
        axisLabel: { ...TEXT, formatter: percentLabel },
      },
      series: [
        ...ARMS.map((arm) => ({
          ...line(arm, arm),
          data: pointsOf(report, arm, rateOf),
          ...(arm === 'treatment' && { markLine: marks(report, form, thresholdMarks(lasting)) }),
        })),
        ...stageLines,
      ],
    }),
  };
}

/** Median and 95th percentile of each arm's successes. */
export function latencyOption(report: RolloutReport): ChartOption | undefined {
  const { series, arms } = report;
  if (!ARMS.some((arm) => series[arm].some(({ p50Ms }) => p50Ms !== undefined))) return undefined;
  const words = ARMS.map((arm) => {
    const { latency } = arms[arm];
    return `${arm}: median ${formatLatency(latency?.p50Ms)}, p95 ${formatLatency(latency?.p95Ms)}`;
  }).join('; ');
  return {
    description: `Durations of the successes of each arm (overall ${words}). ${stepWords(report)}`,
    make: (form) => ({
      ...frame(report, form),
      yAxis: { ...AXIS, type: 'value', min: 0, axisLabel: { ...TEXT, formatter: formatLatency } },
      series: ARMS.flatMap((arm) => [
        {
          ...line(`${arm} p95`, arm),
          data: pointsOf(report, arm, ({ p95Ms }) => p95Ms),
          ...(arm === 'treatment' && { markLine: marks(report, form) }),
        },
        { ...line(`${arm} median`, arm, 1), data: pointsOf(report, arm, ({ p50Ms }) => p50Ms) },
      ]),
    }),
  };
}

/** The most frequent error types, by arm. */
export function errorTypeOption({ errorTypes }: RolloutReport): ChartOption | undefined {
  const shown = errorTypes.slice(0, 10);
  if (shown.length === 0) return undefined;
  const words = shown.map(
    ({ errorType, treatment, control }) => `${errorType}: ${treatment} treatment, ${control} control`,
  );
  return {
    description: `Failures by error type. ${words.join('; ')}.`,
    height: 90 + 34 * shown.length,
    make: (form) => ({
      ...CHART,
      grid: { left: form === 'wide' ? 190 : 130, right: 48, top: 12, bottom: 62 },
      xAxis: { ...AXIS, type: 'value', minInterval: 1, axisLabel: { ...TEXT, formatter: formatCount } },
      yAxis: {
        ...AXIS,
        type: 'category',
        inverse: true,
        data: shown.map(({ errorType }) => errorType),
        axisLabel: { ...TEXT, width: form === 'wide' ? 175 : 118, overflow: 'truncate' },
      },
      series: ARMS.map((arm) => ({
        name: arm,
        type: 'bar',
        barMaxWidth: 11,
        barGap: '20%',
        itemStyle: { color: COLOUR[arm] },
        emphasis: { disabled: true },
        label: {
          ...TEXT,
          show: true,
          position: 'right',
          formatter: ({ value }: { value: unknown }) => formatCount(Number(value)),
        },
        data: shown.map((counts) => counts[arm]),
      })),
    }),
  };
}

function rateOf({ successes, failures }: SeriesPoint): number | undefined {
  return successes + failures === 0 ? undefined : successes / (successes + failures);
}

function percentLabel(rate: number): string {
  return `${Number((rate * 100).toFixed(2))} %`;
}

/** Near 100 % the differences are small: the axis begins just below the lowest value. */
function lowestShown({ series, thresholds }: RolloutReport): number {
  const rates = ARMS.flatMap((arm) => series[arm].map(rateOf)).filter((rate) => rate !== undefined);
  const lowest = Math.min(...rates, ...thresholds.map(({ successRate }) => successRate));
  const step = lowest > 0.9 ? 0.01 : 0.05;
  return Math.max(0, Number((Math.floor(lowest / step - 0.3) * step).toFixed(2)));
}

function stepWords({ rollout }: RolloutReport): string {
  const steps = rollout.map((step) => `${rolloutWord(step)} from ${formatTime(step.at)}`);
  return steps.length === 0 ? '' : `Rollout: ${steps.slice(-20).join(', ')}.`;
}
