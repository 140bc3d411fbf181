import { useEffect, useMemo, useState } from 'preact/hooks';
import type { RolloutView } from '../../../model/rollout-view.js';
import type { Series } from '../../api.js';
import { useMedia } from '../live/hooks.js';
import { Empty, Section } from '../parts/layout.js';
import { latencyText, rateText } from '../words/numbers.js';
import { lengthText, spanText } from '../words/times.js';
import { QUANTILES, type Quantile } from './chart-input.js';
import { ChartMarks } from './chart-marks.js';
import { PointReadout } from './point-readout.js';
import { PointTable } from './point-table.js';
import { RolloutChart } from './rollout-chart.js';
import { endOf, indexFrom, withFiner } from './series-points.js';
import { summaryOf } from './series-summary.js';
import { limitsOf, type Range, type SeriesInRange } from './use-series.js';

const LENGTHS = [
  ['7 d', 604_800_000],
  ['24 h', 86_400_000],
  ['1 h', 3_600_000],
  ['10 min', 600_000],
] as const;

/** Both arms over the whole rollout: what is chosen, the picture, and the point that is pointed at. */
export function RolloutSection({ view, series }: { view: RolloutView; series: SeriesInRange }) {
  const { whole, shown, range, setRange, error } = series;
  const [quantiles, setQuantiles] = useState<readonly Quantile[]>(QUANTILES);
  const [withAllThresholds, setWithAllThresholds] = useState(false);
  const [pointed, setPointed] = useState<number>();
  const isNarrow = useMedia('(max-width: 640px)');
  const drawn = useMemo(
    () => (whole === undefined || shown === undefined ? undefined : withFiner(whole, shown)),
    [whole, shown],
  );
  // A range that another one replaces takes its point with it.
  useEffect(() => setPointed(undefined), [range]);

  if (whole === undefined || shown === undefined || drawn === undefined) {
    return (
      <Section id="arms" title="Both arms over the rollout">
        <Empty>{error === undefined ? 'Loading…' : `The chart is missing: ${error.message}`}</Empty>
      </Section>
    );
  }
  if (!hasOutcomes(whole)) {
    return (
      <Section id="arms" title="Both arms over the rollout">
        <Empty>No data yet. The first point appears with the first outcome.</Empty>
      </Section>
    );
  }
  const limits = limitsOf(range, whole);
  const index = pointed === undefined ? latestPoint(drawn, limits.to) : indexFrom(drawn.at, pointed + 1) - 1;
  const stepMs = lengthOfPoint(drawn.at, index, shown.stepMs, whole.stepMs, drawn.last);
  const severity = new Map(view.triggers.map(({ name, severity }) => [name, severity]));
  const toggle = (quantile: Quantile) =>
    setQuantiles(QUANTILES.filter((each) => (each === quantile) !== quantiles.includes(each)));
  return (
    <Section id="arms" title="Both arms over the rollout" note={summaryOf(shown, limits)}>
      <div class="toolbar">
        <Ranges
          range={range}
          setRange={setRange}
          limits={limits}
          whole={{ first: whole.first, last: endOf(whole) }}
        />
        <fieldset class="group" aria-label="What is drawn">
          <button
            type="button"
            aria-pressed={withAllThresholds}
            title="Also those that are far above the arms"
            onClick={() => setWithAllThresholds(!withAllThresholds)}
          >
            all thresholds
          </button>
          <span class="gap" />
          {QUANTILES.map((quantile) => (
            <button
              key={quantile}
              type="button"
              aria-pressed={quantiles.includes(quantile)}
              disabled={quantiles.length === 1 && quantiles.includes(quantile)}
              onClick={() => toggle(quantile)}
            >
              {quantile}
            </button>
          ))}
        </fieldset>
      </div>
      {error !== undefined && <Empty>The chart is not up to date: {error.message}</Empty>}
      <PointReadout series={drawn} index={index} stepMs={stepMs} isPointed={pointed !== undefined} />
      <RolloutChart
        series={drawn}
        limits={limits}
        range={range}
        setRange={setRange}
        quantiles={quantiles}
        withAllThresholds={withAllThresholds}
        severityOf={(trigger) => severity.get(trigger) ?? 'rollback'}
        isNarrow={isNarrow}
        point={pointed === undefined ? undefined : { at: drawn.at[index] ?? limits.from, stepMs }}
        setPoint={setPointed}
        valueText={`${spanText(drawn.at[index] ?? limits.from, (drawn.at[index] ?? limits.from) + stepMs)}: treatment ${rateText(drawn.treatment.errorRate[index])} errors, p95 ${latencyText(drawn.treatment.p95[index])}; control ${rateText(drawn.control.errorRate[index])} errors, p95 ${latencyText(drawn.control.p95[index])}`}
      >
        <ChartMarks flagKey={view.flagKey} series={drawn} limits={limits} isNarrow={isNarrow} />
      </RolloutChart>
      <p class="note" data-testid="range">
        {spanText(limits.from, limits.to)}, a point each {lengthText(shown.stepMs)}.{' '}
        <span class="fine-pointer">
          Drag across the chart to zoom in, double-click for the whole rollout.
        </span>
      </p>
      <PointTable series={shown} limits={limits} />
    </Section>
  );
}

function Ranges(props: {
  range: Range;
  setRange: (range: Range) => void;
  limits: { from: number; to: number };
  whole: { first: number; last: number };
}) {
  const { range, setRange, limits, whole } = props;
  const length = whole.last - whole.first;
  const zoomTo = (factor: number) => {
    const half = Math.max(30_000, ((limits.to - limits.from) * factor) / 2);
    const middle = (limits.from + limits.to) / 2;
    const from = Math.max(whole.first, middle - half);
    const to = Math.min(whole.last, middle + half);
    setRange(from <= whole.first && to >= whole.last ? { type: 'all' } : { type: 'fixed', from, to });
  };
  const moveBy = (share: number) => {
    const shown = limits.to - limits.from;
    const from = Math.min(Math.max(whole.first, limits.from + share * shown), whole.last - shown);
    setRange({ type: 'fixed', from, to: from + shown });
  };
  return (
    <fieldset class="group" aria-label="Time range">
      <button type="button" aria-pressed={range.type === 'all'} onClick={() => setRange({ type: 'all' })}>
        All
      </button>
      {LENGTHS.filter(([, lengthMs]) => lengthMs < length).map(([name, lengthMs]) => (
        <button
          key={name}
          type="button"
          aria-label={`The latest ${name}`}
          aria-pressed={range.type === 'latest' && range.lengthMs === lengthMs}
          onClick={() => setRange({ type: 'latest', lengthMs })}
        >
          {name}
        </button>
      ))}
      <span class="gap" />
      <button
        type="button"
        aria-label="Earlier"
        disabled={limits.from <= whole.first}
        onClick={() => moveBy(-0.5)}
      >
        ‹
      </button>
      <button type="button" aria-label="Zoom out" disabled={range.type === 'all'} onClick={() => zoomTo(2)}>
        −
      </button>
      <button
        type="button"
        aria-label="Zoom in"
        disabled={limits.to - limits.from <= 60_000}
        onClick={() => zoomTo(0.5)}
      >
        +
      </button>
      <button type="button" aria-label="Later" disabled={limits.to >= whole.last} onClick={() => moveBy(0.5)}>
        ›
      </button>
    </fieldset>
  );
}

function hasOutcomes({ treatment, control }: Series): boolean {
  return [...treatment.trials, ...control.trials].some((trials) => trials > 0);
}

/** The latest with outcomes: the last one may have only just begun. */
function latestPoint({ at, treatment, control }: Series, to: number): number {
  const last = Math.max(0, indexFrom(at, to) - 1);
  for (let index = last; index >= 0; index--) {
    if (treatment.trials[index]! + control.trials[index]! > 0) return index;
  }
  return last;
}

/** Points beside the range are longer than those within it. */
function lengthOfPoint(
  at: readonly number[],
  index: number,
  fineMs: number,
  coarseMs: number,
  last: number,
): number {
  const from = at[index];
  if (from === undefined) return fineMs;
  const next = at[index + 1];
  if (next === undefined) return Math.max(1_000, Math.min(coarseMs, last - from));
  return next - from <= fineMs ? fineMs : Math.min(coarseMs, next - from);
}
