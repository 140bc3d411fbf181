import type { Arm } from '../../../model/shapes.js';
import type { ArmSeries, Series, ThresholdLine } from '../../api.js';
import { latencyText, perSecondText } from '../words/numbers.js';
import { axisTimeText } from '../words/times.js';
import type { ChartColours } from './chart-colours.js';
import type { Panel } from './chart-frame.js';
import { type ChartInput, QUANTILES, type Quantile } from './chart-input.js';
import type { EChartsCoreOption } from './chart-library.js';
import { linesOf, momentLines } from './chart-lines.js';
import { axisTop } from './scale.js';
import { endOf, indexFrom } from './series-points.js';

const ARMS = ['control', 'treatment'] as const;
/** Panels, by their place in the option. */
const [ROLLOUT, ERRORS, LATENCY, TRAFFIC] = [0, 1, 2, 3];

/** One picture: four panels over one time axis, and a slider for the range below. */
export function rolloutChartOption(input: ChartInput): EChartsCoreOption {
  const { series, range, colours, frame, isNarrow } = input;
  const panels = [frame.rollout, frame.errorRate, frame.latency, frame.traffic];
  const text = { color: colours.soft, fontFamily: colours.font, fontSize: 11 };
  const faint = { lineStyle: { color: colours.line } };
  const tops = topsOf(input);
  const valueAxis = (gridIndex: number, name: string, max: number, formatter: (value: number) => string) => ({
    gridIndex,
    type: 'value',
    min: 0,
    max,
    interval: max / 4,
    name,
    nameGap: 12,
    nameLocation: 'end',
    nameTextStyle: {
      ...text,
      color: colours.ink,
      fontSize: 12,
      fontWeight: 600,
      align: 'left',
      padding: [0, 0, 0, 8 - frame.left],
    },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: faint,
    axisLabel: { ...text, formatter, showMinLabel: true },
  });
  return {
    animation: false,
    textStyle: { fontFamily: colours.font },
    grid: panels.map(({ top, height }: Panel) => ({ left: frame.left, right: frame.right, top, height })),
    xAxis: panels.map((_, gridIndex) => ({
      gridIndex,
      type: 'time',
      min: series.first,
      max: endOf(series),
      splitNumber: isNarrow ? 3 : 8,
      axisLine: faint,
      axisTick: { ...faint, show: gridIndex !== ROLLOUT },
      splitLine: { show: false },
      axisLabel: {
        ...text,
        show: gridIndex === TRAFFIC,
        hideOverlap: true,
        formatter: (at: number) => axisTimeText(at, range.to - range.from),
      },
    })),
    yAxis: [
      { gridIndex: ROLLOUT, type: 'value', min: 0, max: 100, show: false },
      valueAxis(ERRORS, 'Error rate, with its 95 % interval', tops.errors, (rate) => axisRate(rate)),
      valueAxis(
        LATENCY,
        `Duration of successes: ${input.quantiles.map((quantile) => `${quantile} ${LOOKS[quantile].word}`).join(', ')}`,
        tops.latency,
        latencyText,
      ),
      valueAxis(TRAFFIC, 'Outcomes', tops.traffic, perSecondText),
    ],
    dataZoom: [
      {
        type: 'slider',
        xAxisIndex: panels.map((_, index) => index),
        top: frame.slider.top,
        height: frame.slider.height,
        left: frame.left,
        right: frame.right,
        filterMode: 'none',
        startValue: range.from,
        endValue: range.to,
        minValueSpan: 60_000,
        showDetail: false,
        brushSelect: false,
        borderColor: colours.line,
        fillerColor: withAlpha(colours.treatment, 0.14),
        handleSize: isNarrow ? '140%' : '110%',
        handleStyle: { color: colours.paper, borderColor: colours.soft },
        moveHandleSize: 4,
        moveHandleStyle: { color: colours.soft },
        dataBackground: {
          lineStyle: { color: colours.soft, opacity: 0.5 },
          areaStyle: { color: colours.soft, opacity: 0.12 },
        },
        selectedDataBackground: {
          lineStyle: { color: colours.treatment },
          areaStyle: { color: colours.treatment, opacity: 0.15 },
        },
      },
    ],
    series: [
      rolloutLine(input),
      ...ARMS.flatMap((arm) => errorLines(input, arm, tops.errors)),
      ...QUANTILES.flatMap((quantile) => ARMS.map((arm) => latencyLine(input, arm, quantile, tops.latency))),
      ...(['treatment', 'control'] as const).map((arm) => trafficArea(input, arm)),
    ],
  };
}

function topsOf({ series, range, quantiles, withAllThresholds }: ChartInput) {
  const from = Math.max(0, indexFrom(series.at, range.from - series.stepMs));
  const to = indexFrom(series.at, range.to + 1);
  const seen = (values: readonly (number | null)[]) =>
    values.slice(from, to).filter((value): value is number => value !== null);
  const ofArms = (pick: (arm: ArmSeries) => readonly (number | null)[]) =>
    ARMS.flatMap((arm) => seen(pick(series[arm])));
  const thresholds = (chart: (name: ThresholdLine['chart']) => boolean) =>
    series.thresholds.filter((line) => chart(line.chart)).map(({ value }) => value);
  const traffic = seen(series.treatment.perSecond).map(
    (perSecond, index) => perSecond + (series.control.perSecond[from + index] ?? 0),
  );
  return {
    errors: axisTop({
      values: ofArms(({ errorRate }) => errorRate),
      soft: ofArms(({ high }) => high),
      thresholds: thresholds((chart) => chart === 'error-rate'),
      withAllThresholds,
      least: 0.001,
      most: 1,
    }),
    latency: axisTop({
      values: quantiles.flatMap((quantile) => ofArms((arm) => arm[quantile])),
      soft: [],
      thresholds: thresholds((chart) => chart !== 'error-rate' && quantiles.includes(chart)),
      withAllThresholds,
      least: 1,
    }),
    traffic: axisTop({ values: traffic, soft: [], thresholds: [], withAllThresholds, least: 0.001 }),
  };
}

const QUIET = {
  type: 'line',
  symbol: 'none',
  silent: true,
  emphasis: { disabled: true },
  legendHoverLink: false,
};

function rolloutLine({ series, colours }: ChartInput) {
  const points: [number, number | null][] = series.at.map((at, index) => [
    at,
    series.percentage[index] ?? null,
  ]);
  const last = points.at(-1);
  if (last !== undefined) points.push([series.last, last[1]]);
  return {
    ...QUIET,
    id: 'rollout',
    xAxisIndex: ROLLOUT,
    yAxisIndex: ROLLOUT,
    step: 'end',
    data: stepsOf(series, series.percentage),
    lineStyle: { color: colours.soft, width: 1.5 },
    areaStyle: { color: colours.soft, opacity: 0.18 },
    markLine: momentLines(series, colours),
  };
}

function errorLines(input: ChartInput, arm: Arm, top: number) {
  const { series, colours } = input;
  const { low, high, errorRate } = series[arm];
  const place = { xAxisIndex: ERRORS, yAxisIndex: ERRORS };
  const middles = middlesOf(series);
  const band = {
    ...QUIET,
    ...place,
    stack: `band-${arm}`,
    stackStrategy: 'all',
    lineStyle: { width: 0, opacity: 0 },
  };
  return [
    { ...band, id: `low-${arm}`, data: middles.map((at, index) => [at, low[index] ?? null]) },
    {
      ...band,
      id: `band-${arm}`,
      areaStyle: { color: colours[arm], opacity: 0.16 },
      data: middles.map((at, index) => {
        const [from, to] = [low[index], high[index]];
        return [at, typeof from !== 'number' || typeof to !== 'number' ? null : to - from];
      }),
    },
    {
      ...QUIET,
      ...place,
      ...lineOf(arm, colours, 2),
      id: `errors-${arm}`,
      data: pointsOf(middles, errorRate),
      ...(arm === 'treatment' && {
        markLine: linesOf(input, (line) => line.chart === 'error-rate', top, axisRate),
      }),
    },
  ];
}

const LOOKS: Readonly<Record<Quantile, { width: number; opacity: number; word: string }>> = {
  p50: { width: 1.25, opacity: 1, word: 'thin' },
  p95: { width: 2.25, opacity: 1, word: 'bold' },
  p99: { width: 1.25, opacity: 0.55, word: 'faint' },
};

function latencyLine(input: ChartInput, arm: Arm, quantile: Quantile, top: number) {
  const { series, colours, quantiles } = input;
  const isShown = quantiles.includes(quantile);
  const isHost = arm === 'treatment' && quantile === 'p95';
  return {
    ...QUIET,
    ...lineOf(arm, colours, LOOKS[quantile].width, LOOKS[quantile].opacity),
    id: `${quantile}-${arm}`,
    xAxisIndex: LATENCY,
    yAxisIndex: LATENCY,
    data: isShown ? pointsOf(middlesOf(series), series[arm][quantile]) : [],
    ...(isHost && {
      markLine: linesOf(
        input,
        ({ chart }) => chart !== 'error-rate' && quantiles.includes(chart),
        top,
        latencyText,
      ),
    }),
  };
}

function trafficArea({ series, colours }: ChartInput, arm: Arm) {
  return {
    ...QUIET,
    id: `traffic-${arm}`,
    xAxisIndex: TRAFFIC,
    yAxisIndex: TRAFFIC,
    stack: 'traffic',
    step: 'end',
    data: stepsOf(series, series[arm].perSecond),
    lineStyle: { color: colours[arm], width: 1, type: arm === 'control' ? [4, 3] : 'solid' },
    areaStyle: { color: colours[arm], opacity: arm === 'control' ? 0.25 : 0.5 },
    ...(arm === 'treatment' && { markLine: momentLines(series, colours) }),
  };
}

/** The control is dashed everywhere: colour is not the only sign. */
export function lineOf(arm: Arm, colours: ChartColours, width: number, opacity = 1) {
  return {
    lineStyle: { color: colours[arm], width, opacity, type: arm === 'control' ? [5, 3] : 'solid' },
    itemStyle: { color: colours[arm] },
  };
}

/** A point stands for its whole length: it is drawn in the middle. */
export function middlesOf({ at, stepMs, last }: Series): number[] {
  return at.map((from) => from + Math.min(stepMs, Math.max(0, last - from)) / 2);
}

/** From the beginning of each point to its end, so that a single one is seen too. */
function stepsOf({ at, last }: Series, values: readonly (number | null)[]): [number, number | null][] {
  const steps: [number, number | null][] = at.map((from, index) => [from, values[index] ?? null]);
  const end = steps.at(-1);
  return end === undefined ? steps : [...steps, [Math.max(last, end[0]), end[1]]];
}

/** A line needs two points: one that stands alone is drawn as a dot. */
export function pointsOf(at: readonly number[], values: readonly (number | null)[]): object[] {
  return at.map((time, index) => {
    const value = [time, values[index] ?? null];
    const isAlone = values[index] != null && values[index - 1] == null && values[index + 1] == null;
    return isAlone ? { value, symbol: 'circle', symbolSize: 6 } : { value };
  });
}

function axisRate(rate: number): string {
  return rate === 0 ? '0 %' : `${Number((rate * 100).toPrecision(3))} %`;
}

/** A colour of the style sheet, `#rrggbb`, that lets through what is behind it. */
function withAlpha(colour: string, alpha: number): string {
  return `${colour}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0')}`;
}
