import { useState } from 'preact/hooks';
import type { ArmSeries, Series } from '../../api.js';
import { Table } from '../parts/layout.js';
import { countText, latencyText, percentageText, rateText } from '../words/numbers.js';
import { spanText } from '../words/times.js';
import { indexFrom } from './series-points.js';

/** A longer table is no longer read: zooming in makes it finer. */
const MOST_ROWS = 60;

/** The chart as a table, for those who cannot see it or want the numbers. Made only when it is opened. */
export function PointTable({ series, limits }: { series: Series; limits: { from: number; to: number } }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details class="points" onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>The chart as a table</summary>
      {isOpen && <Rows series={series} limits={limits} />}
    </details>
  );
}

function Rows({ series, limits }: { series: Series; limits: { from: number; to: number } }) {
  const first = indexFrom(series.at, limits.from - series.stepMs + 1);
  const end = indexFrom(series.at, limits.to + 1);
  const indices = Array.from({ length: end - first }, (_, index) => end - 1 - index).filter(
    (index) => (series.treatment.trials[index] ?? 0) + (series.control.trials[index] ?? 0) > 0,
  );
  const shown = indices.slice(0, MOST_ROWS);
  const cells = (arm: ArmSeries, index: number) => [
    <td key="rate">{rateText(arm.errorRate[index])}</td>,
    <td key="of">{countText(arm.trials[index] ?? 0)}</td>,
    <td key="p50">{latencyText(arm.p50[index])}</td>,
    <td key="p95">{latencyText(arm.p95[index])}</td>,
    <td key="p99">{latencyText(arm.p99[index])}</td>,
  ];
  return (
    <>
      {shown.length < indices.length && (
        <p class="note">
          The latest {shown.length} of {indices.length} points with outcomes: zoom in for the others.
        </p>
      )}
      <Table
        caption="Points of the chart, newest first"
        head={[
          'Time',
          'Rollout',
          ...['treatment', 'control'].flatMap((arm) => [`${arm} errors`, 'of', 'p50', 'p95', 'p99']),
        ]}
      >
        {shown.map((index) => (
          <tr key={series.at[index]}>
            <th scope="row">{spanText(series.at[index]!, series.at[index]! + series.stepMs)}</th>
            <td>{percentageText(series.percentage[index])}</td>
            {cells(series.treatment, index)}
            {cells(series.control, index)}
          </tr>
        ))}
      </Table>
    </>
  );
}
