import { formatThreshold } from '../support/wording.js';
import { INK, PLAIN, spanOf, TEXT, THRESHOLD_COLOUR } from './chart-parts.js';
import type { RolloutReport } from './rollout-report.js';

/** Room for `100 %`, in pixels. */
const LABEL_PIXELS = 44;

/** Vertical lines where the percentage changed; horizontal ones for the thresholds of the whole rollout. */
export function marks(report: RolloutReport, form: 'wide' | 'narrow', withThresholds: boolean) {
  const limits = report.thresholds
    .filter(({ during }) => during === undefined)
    .map(({ label, successRate, kind }) => ({
      yAxis: successRate,
      lineStyle: { color: THRESHOLD_COLOUR[kind], type: 'solid', width: 1.5 },
      label: {
        ...TEXT,
        ...PLAIN,
        color: THRESHOLD_COLOUR[kind],
        position: 'insideStartBottom',
        formatter: label,
      },
    }));
  return {
    symbol: 'none',
    silent: true,
    emphasis: { disabled: true },
    data: [...stepMarks(report, form), ...(withThresholds ? limits : [])],
  };
}

/** Labels of steps that come soon after each other go to a second row, and from there out of sight. */
function stepMarks(report: RolloutReport, form: 'wide' | 'narrow'): object[] {
  const shown = spanOf(report);
  if (shown === undefined) return [];
  const labelMs = (LABEL_PIXELS / (form === 'wide' ? 860 : 340)) * (shown.to - shown.from);
  const freeFrom = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return report.rollout.map((step) => {
    const at = Math.min(Math.max(step.at, shown.from), shown.to);
    const row = freeFrom.findIndex((free) => at >= free);
    if (row >= 0) freeFrom[row] = at + labelMs;
    return {
      xAxis: at,
      lineStyle: { color: INK, type: 'dotted', width: 1 },
      label: {
        ...TEXT,
        ...PLAIN,
        show: row >= 0,
        position: 'end',
        distance: row === 1 ? 19 : 5,
        formatter: rolloutWord(step),
      },
    };
  });
}

/** `10 %`, `on`, `off` */
export function rolloutWord({ enabled, percentage }: RolloutReport['rollout'][number]): string {
  if (!enabled) return 'off';
  return percentage === undefined ? 'on' : formatThreshold(percentage / 100);
}
