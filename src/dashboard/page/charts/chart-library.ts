/** As much of ECharts as the page draws with. */
import { LineChart } from 'echarts/charts';
import { DataZoomSliderComponent, GridComponent, MarkLineComponent } from 'echarts/components';
import { type EChartsCoreOption, type EChartsType, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'preact/hooks';

export type { EChartsCoreOption } from 'echarts/core';

let isReady = false;

/** An empty chart that fills an element. */
function createChart(element: HTMLElement): EChartsType {
  // Not when this file is loaded: the package is marked as free of side effects, and a bundler would leave it out.
  if (!isReady) use([LineChart, GridComponent, MarkLineComponent, DataZoomSliderComponent, CanvasRenderer]);
  isReady = true;
  return init(element, undefined, { renderer: 'canvas' });
}

/**
 * A chart that is made once and then updated, and follows the size of its element.
 *
 * @param optionOf - What it shows.
 * @param inputs - What that depends on.
 * @param onMade - Called once with the chart.
 * @returns a reference for its element.
 */
export function useChart(
  optionOf: () => EChartsCoreOption,
  inputs: readonly unknown[],
  onMade?: (made: EChartsType) => void,
) {
  const canvas = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType>(undefined);
  useEffect(() => {
    const made = createChart(canvas.current!);
    chart.current = made;
    onMade?.(made);
    const resized = new ResizeObserver(() => made.resize());
    resized.observe(canvas.current!);
    return () => {
      resized.disconnect();
      made.dispose();
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(optionOf());
  }, inputs);
  return canvas;
}
