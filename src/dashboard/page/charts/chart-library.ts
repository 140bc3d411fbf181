/** As much of ECharts as the page draws with. */
import { LineChart } from 'echarts/charts';
import { DataZoomSliderComponent, GridComponent, MarkLineComponent } from 'echarts/components';
import { type EChartsType, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

export type { EChartsCoreOption, EChartsType } from 'echarts/core';

let isReady = false;

/** An empty chart that fills an element. */
export function createChart(element: HTMLElement): EChartsType {
  // Not when this file is loaded: the package is marked as free of side effects, and a bundler would leave it out.
  if (!isReady) use([LineChart, GridComponent, MarkLineComponent, DataZoomSliderComponent, CanvasRenderer]);
  isReady = true;
  return init(element, undefined, { renderer: 'canvas' });
}
