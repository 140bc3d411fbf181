import { loadDrawing } from '../../report/charts.js';
import { describeTraffic, formatMinutes, percent } from './describe.js';
import type { Simulation } from './simulation.js';

const SIZE = { width: 800, height: 420 };
const INK = '#1b1f24';

/**
 * Draws how long each rise of the failure rate takes to be stopped, median and 95th percentile, as an SVG picture. Bars that
 * are missing are rises that were not stopped in time.
 *
 * @returns undefined when the package `echarts` is not installed.
 */
export async function drawSimulation({
  scenario,
  healthy,
  detectable,
}: Simulation): Promise<string | undefined> {
  const draw = await loadDrawing();
  if (draw === undefined) return undefined;
  const bar = (name: string, color: string, values: readonly (number | null)[]) => ({
    type: 'bar' as const,
    name,
    data: values.map((minutes) => minutes ?? '-'),
    itemStyle: { color },
    label: {
      show: true,
      position: 'top' as const,
      color: INK,
      formatter: ({ value }: { value: unknown }) => (typeof value === 'number' ? formatMinutes(value) : ''),
    },
  });
  const traffic = `${describeTraffic(scenario)}, for ${formatMinutes(scenario.durationMs / 60_000)}`;
  const falseStops = `${percent(healthy.stopped.rate)} of healthy rollouts were stopped by accident`;
  const svg = draw(
    {
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: 'sans-serif', color: INK },
      legend: { bottom: 0 },
      grid: { left: 60, right: 20, top: 50, bottom: 70 },
      xAxis: {
        type: 'category',
        name: `failing in the treatment (control: ${percent(scenario.controlFailureRate)})`,
        nameLocation: 'middle',
        nameGap: 28,
        data: detectable.map(({ treatmentFailureRate, minutes }) =>
          minutes.median === null
            ? `${percent(treatmentFailureRate)}: not in time`
            : percent(treatmentFailureRate),
        ),
      },
      yAxis: {
        type: 'value',
        name: `minutes until the stop, at ${traffic}`,
        nameTextStyle: { align: 'left' },
      },
      series: [
        bar(
          'median',
          '#2f6f9f',
          detectable.map(({ minutes }) => minutes.median),
        ),
        bar(
          '95th percentile',
          '#a9c7dc',
          detectable.map(({ minutes }) => minutes.p95),
        ),
      ],
    },
    SIZE,
  );
  const description = `${traffic}. ${falseStops}.`;
  return svg.replace(
    /<svg ([^>]*)>/,
    `<svg $1><title>Minutes until the stop</title><desc>${description}</desc>`,
  );
}
