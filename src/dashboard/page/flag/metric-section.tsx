import { METRIC_WORDS } from '../../../support/wording.js';
import type { MetricArmSeries, MetricSeries, Series } from '../../api.js';
import { type ChartColours, useChartColours } from '../charts/chart-colours.js';
import { type EChartsCoreOption, useChart } from '../charts/chart-library.js';
import { lineOf, middlesOf, pointsOf } from '../charts/rollout-chart-option.js';
import { indexFrom } from '../charts/series-points.js';
import { limitsOf, type SeriesInRange } from '../charts/use-series.js';
import { Section, Table } from '../parts/layout.js';
import { Foreign } from '../parts/signs.js';
import { countText, NONE, rateText } from '../words/numbers.js';
import { axisTimeText, spanText } from '../words/times.js';

const ARMS = ['control', 'treatment'] as const;

interface Limits {
  readonly from: number;
  readonly to: number;
}

/** Metrics of the application's own, in the range of the chart above; nothing without any. */
export function MetricSection({ series: { whole, shown, range } }: { series: SeriesInRange }) {
  if (whole === undefined || shown === undefined || whole.metrics.length === 0) return null;
  const limits = limitsOf(range, whole);
  const cells = (metric: MetricSeries, arm: 'treatment' | 'control') => {
    const { trials, value } = sumOf(metric[arm], shown, limits);
    return [
      <td key={arm}>
        <span class="label">{arm}</span>
        {valueText(metric.kind, value)}
      </td>,
      <td key={`${arm} units`}>
        <span class="label">of</span>
        {countText(trials)}
      </td>,
    ];
  };
  return (
    <Section
      id="metrics"
      title="Metrics"
      note={`${spanText(limits.from, limits.to)}. A user counts when the time of the metric is over.`}
    >
      <Table caption="Metrics of both arms" head={['Metric', '', 'treatment', 'of', 'control', 'of']}>
        {shown.metrics.map((metric) => (
          <tr key={metric.trigger}>
            <th scope="row">
              <Foreign text={metric.trigger} max={80} />
            </th>
            <td>{METRIC_WORDS[metric.kind]}</td>
            {cells(metric, 'treatment')}
            {cells(metric, 'control')}
          </tr>
        ))}
      </Table>
      <div class="metrics">
        {shown.metrics.map((metric) => (
          <figure key={metric.trigger}>
            <figcaption>
              <Foreign text={metric.trigger} max={80} />: {METRIC_WORDS[metric.kind]}
            </figcaption>
            <MetricChart metric={metric} series={shown} limits={limits} />
          </figure>
        ))}
      </div>
    </Section>
  );
}

function MetricChart(props: { metric: MetricSeries; series: Series; limits: Limits }) {
  const { metric, series, limits } = props;
  const colours = useChartColours();
  const inputs = [metric, series, limits.from, limits.to, colours];
  const canvas = useChart(() => optionOf(metric, series, limits, colours), inputs);
  // Its numbers are in the table.
  return <div ref={canvas} class="metric-chart" aria-hidden="true" />;
}

function optionOf(
  metric: MetricSeries,
  series: Series,
  limits: Limits,
  colours: ChartColours,
): EChartsCoreOption {
  const text = { color: colours.soft, fontFamily: colours.font, fontSize: 11 };
  const faint = { lineStyle: { color: colours.line } };
  return {
    animation: false,
    grid: { left: 64, right: 20, top: 12, bottom: 26 },
    xAxis: {
      type: 'time',
      min: limits.from,
      max: limits.to,
      splitNumber: 4,
      axisLine: faint,
      axisTick: faint,
      splitLine: { show: false },
      axisLabel: {
        ...text,
        hideOverlap: true,
        formatter: (at: number) => axisTimeText(at, limits.to - limits.from),
      },
    },
    yAxis: {
      type: 'value',
      scale: metric.kind !== 'conversion',
      splitNumber: 3,
      splitLine: faint,
      axisLabel: { ...text, formatter: (value: number) => valueText(metric.kind, value) },
    },
    series: ARMS.map((arm) => ({
      ...lineOf(arm, colours, 2),
      id: arm,
      type: 'line',
      symbol: 'none',
      silent: true,
      data: pointsOf(middlesOf(series), metric[arm].value),
    })),
  };
}

/** Of all points within the range. */
function sumOf({ trials, value }: MetricArmSeries, { at, stepMs }: Series, { from, to }: Limits) {
  let [units, sum] = [0, 0];
  for (let index = indexFrom(at, from - stepMs + 1); index < indexFrom(at, to + 1); index++) {
    units += trials[index] ?? 0;
    sum += (trials[index] ?? 0) * (value[index] ?? 0);
  }
  return { trials: units, value: units === 0 ? null : sum / units };
}

function valueText(kind: MetricSeries['kind'], value: number | null): string {
  if (kind === 'conversion') return rateText(value);
  return value === null ? NONE : String(Number(value.toPrecision(4)));
}
