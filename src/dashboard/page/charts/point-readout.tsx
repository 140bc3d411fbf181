import type { Arm } from '../../../model/shapes.js';
import type { Series } from '../../api.js';
import { ScrollBox } from '../parts/layout.js';
import { ArmName } from '../parts/signs.js';
import { countText, latencyText, percentageText, perSecondText, rateText } from '../words/numbers.js';
import { spanText } from '../words/times.js';

const ARMS: readonly Arm[] = ['treatment', 'control'];

/** The numbers of one point, and with them the legend: above the chart, where no hand and no curve covers them. */
export function PointReadout(props: { series: Series; index: number; stepMs: number; isPointed: boolean }) {
  const { series, index, stepMs, isPointed } = props;
  const at = series.at[index];
  if (at === undefined) return null;
  const percentage = series.percentage[index];
  return (
    <ScrollBox class="readout" label="The numbers of one point">
      <table>
        <caption>
          {isPointed ? '' : 'Latest point: '}
          {spanText(at, at + stepMs)}
          {percentage === null || percentage === undefined ? '' : `, at ${percentageText(percentage)}`}
        </caption>
        <thead>
          <tr>
            <td />
            <th scope="col">errors</th>
            <th scope="col" class="wide">
              95 % interval
            </th>
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
            <th scope="col" class="wide">
              traffic
            </th>
            <th scope="col" class="wide">
              outcomes
            </th>
          </tr>
        </thead>
        <tbody>
          {ARMS.map((arm) => {
            const of = series[arm];
            return (
              <tr key={arm}>
                <th scope="row">
                  <ArmName arm={arm} />
                </th>
                <td>{rateText(of.errorRate[index])}</td>
                <td class="wide">
                  {of.low[index] == null ? '–' : `${rateText(of.low[index])} to ${rateText(of.high[index])}`}
                </td>
                <td>{latencyText(of.p50[index])}</td>
                <td>{latencyText(of.p95[index])}</td>
                <td>{latencyText(of.p99[index])}</td>
                <td class="wide">{perSecondText(of.perSecond[index])}</td>
                <td class="wide">{countText(of.trials[index] ?? 0)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </ScrollBox>
  );
}
