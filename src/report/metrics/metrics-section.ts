import type { MetricRollup } from '../../rollups/rollup.js';
import { formatCount, METRIC_WORDS } from '../../support/wording.js';
import { formatShare } from '../format.js';
import type { RolloutReport } from '../rollout-report.js';
import type { Section } from '../section.js';

/** The id of a metric's chart: its name may be anything. */
export function metricChartId({ metrics }: RolloutReport, trigger: string): string {
  return `metric-${metrics.findIndex((metric) => metric.trigger === trigger) + 1}`;
}

/** The share of units that converted, or the mean of their values. */
export function formatMetric(kind: MetricRollup['kind'], { trials, sum }: MetricRollup['control']): string {
  const value = trials === 0 ? undefined : sum / trials;
  if (kind === 'conversion') return formatShare(value);
  return value === undefined ? '–' : String(Number(value.toPrecision(4)));
}

/** Metrics of the application's own, by arm. */
export function metricsSection(report: RolloutReport): Section {
  const rows = report.metrics.map(({ trigger, kind, treatment, control }) => [
    trigger,
    METRIC_WORDS[kind],
    formatMetric(kind, treatment),
    formatCount(treatment.trials),
    formatMetric(kind, control),
    formatCount(control.trials),
  ]);
  const title = 'Metrics';
  return {
    id: 'metrics',
    title,
    charts: report.metrics.map(({ trigger }) => metricChartId(report, trigger)),
    paragraphs: [
      'A user counts when the time of the metric is over; without an event, only for a share. The verdicts compare with quantiles of the control, which a single large value does not move.',
    ],
    tables: [{ caption: title, head: ['Metric', 'Number', 'Treatment', 'Users', 'Control', 'Users'], rows }],
  };
}
