import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Series } from '../../api.js';
import { useChartColours } from './chart-colours.js';
import { frameOf, placeOf } from './chart-frame.js';
import type { ChartInput, Quantile } from './chart-input.js';
import { useChart } from './chart-library.js';
import { rolloutChartOption } from './rollout-chart-option.js';
import { endOf, indexFrom } from './series-points.js';
import type { Range } from './use-series.js';

interface Props {
  readonly series: Series;
  readonly limits: { readonly from: number; readonly to: number };
  readonly range: Range;
  readonly setRange: (range: Range) => void;
  readonly quantiles: readonly Quantile[];
  readonly withAllThresholds: boolean;
  readonly severityOf: ChartInput['severityOf'];
  readonly isNarrow: boolean;
  /** The point that is pointed at. */
  readonly point: { readonly at: number; readonly stepMs: number } | undefined;
  readonly setPoint: (at: number | undefined) => void;
  readonly valueText: string;
  /** Lies over the canvas. */
  readonly children: ComponentChildren;
}

/** Shorter drags are clicks, in pixels. */
const CLICK_PIXELS = 6;

/** The picture, made once and then updated; and over it the point, the range that is being drawn, and the marks. */
export function RolloutChart(props: Props) {
  const { series, limits, range, setRange, quantiles, severityOf, isNarrow, point, setPoint } = props;
  const frame = useMemo(() => frameOf(isNarrow), [isNarrow]);
  const colours = useChartColours();
  const own = useRef({ series, setRange });
  own.current = { series, setRange };
  const { withAllThresholds } = props;
  const input: ChartInput = {
    series,
    range: limits,
    quantiles,
    withAllThresholds,
    severityOf,
    colours,
    frame,
    isNarrow,
  };

  const inputs = [series, limits.from, limits.to, quantiles.join(), withAllThresholds, colours, frame];
  const canvas = useChart(
    () => rolloutChartOption(input),
    inputs,
    (made) => {
      made.on('datazoom', () => {
        const zoom = (made.getOption() as { dataZoom: { startValue: number; endValue: number }[] })
          .dataZoom[0];
        if (zoom === undefined) return;
        const { first } = own.current.series;
        const last = endOf(own.current.series);
        const isAll = zoom.startValue <= first && zoom.endValue >= last;
        own.current.setRange(
          isAll ? { type: 'all' } : { type: 'fixed', from: zoom.startValue, to: zoom.endValue },
        );
      });
    },
  );

  const { drag, handlers } = usePointer({ limits, series, setRange, setPoint, frame });
  const left = (at: number) => `${Math.min(1, Math.max(0, placeOf(at, limits))) * 100}%`;
  return (
    <div class="chart" style={{ height: `${frame.height}px` }}>
      <div ref={canvas} class="canvas" aria-hidden="true" />
      <div
        class="over"
        style={{ left: `${frame.left}px`, right: `${frame.right}px`, height: `${frame.slider.top - 12}px` }}
        role="slider"
        tabIndex={0}
        aria-label="Point in time: arrow keys move it, + and − zoom"
        aria-valuemin={limits.from}
        aria-valuemax={limits.to}
        aria-valuenow={point?.at ?? limits.to}
        aria-valuetext={props.valueText}
        data-from={Math.round(limits.from)}
        data-to={Math.round(limits.to)}
        data-range={range.type}
        {...handlers(point?.at)}
      >
        {point !== undefined && (
          <div
            class="point"
            style={{
              left: left(point.at),
              width: `max(1px, calc(${left(point.at + point.stepMs)} - ${left(point.at)}))`,
            }}
          />
        )}
        {drag !== undefined && (
          <div
            class="drag"
            style={{
              left: `${Math.min(drag.from, drag.to) * 100}%`,
              width: `${Math.abs(drag.to - drag.from) * 100}%`,
            }}
          />
        )}
      </div>
      <div class="marks" style={{ left: `${frame.left}px`, right: `${frame.right}px` }}>
        {props.children}
      </div>
    </div>
  );
}

/** Pointing at a time, drawing a range with a mouse, and both with the keyboard. */
function usePointer(props: Pick<Props, 'limits' | 'series' | 'setRange' | 'setPoint'> & { frame: object }) {
  const { limits, series, setRange, setPoint } = props;
  const [drag, setDrag] = useState<{ from: number; to: number }>();
  const length = limits.to - limits.from;
  const last = endOf(series);
  const shareOf = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const zoom = (from: number, to: number) => {
    const half = Math.max(60_000, to - from) / 2;
    const middle = (from + to) / 2;
    const range = { from: Math.max(series.first, middle - half), to: Math.min(last, middle + half) };
    const isAll = range.from <= series.first && range.to >= last;
    setRange(isAll ? { type: 'all' } : { type: 'fixed', ...range });
  };
  const handlers = (pointed: number | undefined) => ({
    onPointerDown: (event: PointerEvent) => {
      // A finger scrolls the page, and zooms with the slider.
      if (event.pointerType !== 'mouse' || event.button !== 0) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      setDrag({ from: shareOf(event), to: shareOf(event) });
    },
    onPointerMove: (event: PointerEvent) => {
      const share = shareOf(event);
      setPoint(limits.from + share * length);
      if (drag !== undefined) setDrag({ ...drag, to: share });
    },
    onPointerUp: (event: PointerEvent) => {
      if (drag === undefined) return setPoint(limits.from + shareOf(event) * length);
      setDrag(undefined);
      const { width } = (event.currentTarget as HTMLElement).getBoundingClientRect();
      const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
      if ((to - from) * width < CLICK_PIXELS) return;
      zoom(limits.from + from * length, limits.from + to * length);
    },
    onPointerLeave: () => drag === undefined && setPoint(undefined),
    onPointerCancel: () => setDrag(undefined),
    onDblClick: () => setRange({ type: 'all' }),
    onBlur: () => setPoint(undefined),
    onKeyDown: (event: KeyboardEvent) => {
      const index = pointed === undefined ? indexFrom(series.at, limits.to) : indexFrom(series.at, pointed);
      const middle = pointed ?? limits.to - length / 2;
      const moves: Readonly<Record<string, () => void>> = {
        ArrowLeft: () => setPoint(series.at[Math.max(0, index - 1)]),
        ArrowRight: () => setPoint(series.at[Math.min(series.at.length - 1, index + 1)]),
        Home: () => setPoint(series.at[indexFrom(series.at, limits.from)]),
        End: () => setPoint(series.at[Math.max(0, indexFrom(series.at, limits.to) - 1)]),
        '+': () => zoom(middle - length / 4, middle + length / 4),
        '=': () => zoom(middle - length / 4, middle + length / 4),
        '-': () => zoom(middle - length, middle + length),
        Escape: () => (pointed === undefined ? setRange({ type: 'all' }) : setPoint(undefined)),
      };
      const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : moves[event.key];
      if (move === undefined) return;
      event.preventDefault();
      move();
    },
  });
  return { drag, handlers };
}
