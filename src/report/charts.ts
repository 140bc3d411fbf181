import type { EChartsCoreOption } from 'echarts/core';
import { METRIC_WORDS } from '../support/wording.js';
import { errorRateOption, latencyOption, metricOption } from './chart-options.js';
import type { Form } from './chart-parts.js';
import { escapeXml } from './format.js';
import { metricChartId } from './metrics/metrics-section.js';
import type { RolloutReport } from './rollout-report.js';

/** A chart as an SVG picture, for wide screens and paper, and for narrow ones. Colours are CSS variables of the page. */
export interface Chart {
  /** `error-rate`, `latency`, or that of a metric. */
  readonly id: string;
  readonly title: string;
  /** What the picture shows, for readers who cannot see it. */
  readonly description: string;
  readonly wide: string;
  readonly narrow: string;
}

const HEIGHT = 340;
const WIDTH: Readonly<Record<Form, number>> = { wide: 960, narrow: 420 };

/**
 * Draws a report's charts with Apache ECharts, without a browser.
 *
 * @returns undefined when the package `echarts` is not installed.
 */
export async function drawCharts(report: RolloutReport): Promise<readonly Chart[] | undefined> {
  const draw = await loadDrawing();
  if (draw === undefined) return undefined;
  const charts = [
    {
      id: 'error-rate',
      title: 'Error rate of both arms, with 95 % intervals; shaded: a review was open',
      option: errorRateOption(report),
    },
    {
      id: 'latency',
      title: 'Duration of successful operations (p95, and thinner the median)',
      option: latencyOption(report),
    },
    ...report.series.metrics.map((metric) => ({
      id: metricChartId(report, metric.trigger),
      title: `${metric.trigger}: ${METRIC_WORDS[metric.kind]}`,
      option: metricOption(report, metric),
    })),
  ];
  return charts.flatMap(({ id, title, option }) => {
    if (option === undefined) return [];
    const { description } = option;
    const picture = (form: Form) => {
      const svg = draw(option.make(form), { width: WIDTH[form], height: HEIGHT });
      return toInlineSvg(svg, `${id}-${form}`, title, description);
    };
    return [{ id, title, description, wide: picture('wide'), narrow: picture('narrow') }];
  });
}

/** Draws one picture. */
type Draw = (option: EChartsCoreOption, size: { width: number; height: number }) => string;

/** @returns undefined when the package `echarts` is not installed. */
async function loadDrawing(): Promise<Draw | undefined> {
  try {
    const [core, charts, components, renderers] = await Promise.all([
      import('echarts/core'),
      import('echarts/charts'),
      import('echarts/components'),
      import('echarts/renderers'),
    ]);
    core.use([
      charts.LineChart,
      components.GridComponent,
      components.LegendComponent,
      components.MarkAreaComponent,
      components.MarkLineComponent,
      renderers.SVGRenderer,
    ]);
    return (option, size) => {
      const chart = core.init(null, null, { renderer: 'svg', ssr: true, ...size });
      try {
        chart.setOption(option);
        return chart.renderToSVGString();
      } finally {
        chart.dispose();
      }
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * Takes out what only a live chart needs (styles for hovering, which would apply to the whole page), scales with the
 * page, and gives the picture a name and a description.
 */
function toInlineSvg(svg: string, id: string, title: string, description: string): string {
  const body = svg
    .replace(/<style[\s\S]*?<\/style>/g, '')
    .replace(/ (class|pointer-events|ecmeta_\w+)="[^"]*"/g, '')
    .replace(/\bzr\d+-/g, `${id}-`)
    .replace(/<svg width="(\d+)" height="(\d+)"[^>]*>/, (_, width, height) =>
      [
        `<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-text">`,
        `<title id="${id}-title">${escapeXml(title)}</title><desc id="${id}-text">${escapeXml(description)}</desc>`,
      ].join(''),
    );
  return body.replace(/\n\s*/g, '');
}
