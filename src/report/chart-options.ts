import type { EChartsCoreOption } from 'echarts/core';
import type { MetricSeries } from '../dashboard/api.js';
import { ARMS } from '../model/shapes.js';
import { METRIC_WORDS } from '../support/wording.js';
import {
  AXIS,
  bandOf,
  decisionMarks,
  type Form,
  frame,
  line,
  marks,
  pointsOf,
  reviewAreas,
  TEXT,
  thresholdMarks,
} from './chart-parts.js';
import { formatLatency, formatShare, formatTime, rolloutWord } from './format.js';
import { formatMetric } from './metrics/metrics-section.js';
import type { RolloutReport } from './rollout-report.js';

/** What a chart shows; undefined where there is nothing to show. */
interface ChartOption {
  readonly description: string;
  make(form: Form): EChartsCoreOption;
}

/** A rate of fewer outcomes may be anything: it does not decide how far the axis goes. */
const ENOUGH_TRIALS = 30;

/** The error rate of each arm with its interval, and everything that happened to the rollout. */
export function errorRateOption(report: RolloutReport): ChartOption | undefined {
  const { thresholds, arms, series, period } = report;
  if (period === undefined) return undefined;
  const words = ARMS.map((arm) => {
    const { successRate } = arms[arm];
    return `${arm}: ${formatShare(successRate === undefined ? undefined : 1 - successRate)}`;
  }).join(', ');
  const limits = thresholds.map(({ label }) => label).join(', ');
  return {
    description: `Error rate of each arm with 95 % intervals (overall ${words})${limits === '' ? '' : `; thresholds: ${limits}`}. ${happened(report)}`,
    make: (form) => ({
      ...frame(report, form),
      legend: { ...frame(report, form).legend, data: [...ARMS] },
      yAxis: {
        ...AXIS,
        type: 'value',
        min: 0,
        max: highestShown(report),
        interval: highestShown(report) / 5,
        axisLabel: { ...TEXT, formatter: percentLabel },
      },
      series: [
        ...ARMS.flatMap((arm) => bandOf(report, arm, series[arm].low, series[arm].high)),
        ...ARMS.map((arm) => ({
          ...line(arm, arm),
          data: pointsOf(report, series[arm].errorRate),
          ...(arm === 'treatment' && {
            markLine: marks(report, form, [...thresholdMarks(thresholds), ...decisionMarks(report)]),
            markArea: reviewAreas(report),
          }),
        })),
      ],
    }),
  };
}

/** Median and 95th percentile of each arm's successes. */
export function latencyOption(report: RolloutReport): ChartOption | undefined {
  const { series, arms } = report;
  if (!ARMS.some((arm) => series[arm].p50.some((value) => value !== null))) return undefined;
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
          data: pointsOf(report, series[arm].p95),
          ...(arm === 'treatment' && { markLine: marks(report, form) }),
        },
        { ...line(`${arm} median`, arm, 1), data: pointsOf(report, series[arm].p50) },
      ]),
    }),
  };
}

/** A metric of the application's own in each arm. */
export function metricOption(report: RolloutReport, { trigger, kind, ...arms }: MetricSeries): ChartOption {
  const words = report.metrics
    .filter((metric) => metric.trigger === trigger)
    .flatMap((metric) => ARMS.map((arm) => `${arm}: ${formatMetric(kind, metric[arm])}`));
  return {
    description: `${trigger}, ${METRIC_WORDS[kind]}, of each arm (overall ${words.join(', ')}). ${stepWords(report)}`,
    make: (form) => ({
      ...frame(report, form),
      yAxis: {
        ...AXIS,
        type: 'value',
        scale: kind !== 'conversion',
        axisLabel: {
          ...TEXT,
          formatter: (value: number) => formatMetric(kind, { trials: 1, sum: value }),
        },
      },
      series: ARMS.map((arm) => ({
        ...line(arm, arm),
        data: pointsOf(report, arms[arm].value),
        ...(arm === 'treatment' && { markLine: marks(report, form, decisionMarks(report)) }),
      })),
    }),
  };
}

function percentLabel(rate: number): string {
  return `${Number((rate * 100).toFixed(2))} %`;
}

const TOPS = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1];

/** Above every rate that means something, and above every threshold. */
function highestShown({ series, thresholds }: RolloutReport): number {
  const rates = ARMS.flatMap((arm) =>
    series[arm].errorRate.filter((_, index) => series[arm].trials[index]! >= ENOUGH_TRIALS),
  );
  const highest = Math.max(
    ...rates.map((rate) => rate ?? 0),
    ...thresholds.map(({ errorRate }) => errorRate),
    0,
  );
  return TOPS.find((top) => top >= Math.min(1, highest * 1.12)) ?? 1;
}

function happened(report: RolloutReport): string {
  const decided = report.decisions.map(
    ({ decision: { at, action, dryRun } }) =>
      `${dryRun ? 'Would have ' : ''}${action === 'stop' ? 'stopped' : 'stepped back'} at ${formatTime(at)}.`,
  );
  const reviews = report.reviews.length === 0 ? [] : [`Reviews: ${report.reviews.length}.`];
  return [stepWords(report), ...reviews, ...decided.slice(-10)].filter((text) => text !== '').join(' ');
}

function stepWords({ rollout }: RolloutReport): string {
  const steps = rollout.map((step) => `${rolloutWord(step)} from ${formatTime(step.at)}`);
  return steps.length === 0 ? '' : `Rollout: ${steps.slice(-20).join(', ')}.`;
}
