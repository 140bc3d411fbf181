import type { ArmSeries, Series } from '../../api.js';
import { countText, NONE, rateOf, rateText } from '../words/numbers.js';
import { indexFrom } from './series-points.js';

/** What the chart says, for those who do not see it. */
export function summaryOf(series: Series, { from, to }: { from: number; to: number }): string {
  const [first, end] = [indexFrom(series.at, from - series.stepMs + 1), indexFrom(series.at, to + 1)];
  const arm = (name: string, { trials, failures }: ArmSeries) => {
    const of = sum(trials, first, end);
    if (of === 0) return `the ${name} had no outcome`;
    return `the ${name} failed in ${rateText(rateOf(sum(failures, first, end), of))} of ${countText(of)} outcomes`;
  };
  if (end <= first) return NONE;
  return `In this range, ${arm('treatment', series.treatment)}, ${arm('control', series.control)}.`;
}

function sum(values: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let index = Math.max(0, from); index < to; index++) total += values[index]!;
  return total;
}
