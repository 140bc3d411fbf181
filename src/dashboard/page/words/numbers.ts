import { formatQuantity } from '../../../support/wording.js';

export const NONE = '–';

/** With a space at which no line breaks. */
const PERCENT = '\u00a0%';

const WHOLE = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

/** `12,345`; `1.23 M` where nobody counts single ones. */
export function countText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} bn`;
  return count >= 1e7 ? `${(count / 1e6).toFixed(1)} M` : WHOLE.format(count);
}

/**
 * A fraction as a percentage with two decimals, and with more where small rates would all be 0.00 %.
 *
 * @example rateText(0.0123) // '1.23 %'
 */
export function rateText(rate: number | null | undefined): string {
  if (rate === null || rate === undefined) return NONE;
  return `${shownPercent(rate * 100)}${PERCENT}`;
}

function shownPercent(percent: number): string {
  if (percent === 0 || percent === 100) return String(percent);
  if (percent >= 99.995) return '> 99.99';
  if (percent < 0.001) return '< 0.001';
  return percent < 0.1 ? percent.toFixed(3) : percent.toFixed(2);
}

/** A percentage of 0–100 without meaningless digits: `10 %`, `12.5 %`. */
export function percentageText(percentage: number | null | undefined): string {
  return percentage === null || percentage === undefined
    ? NONE
    : `${Number(percentage.toFixed(2))}${PERCENT}`;
}

/** `842 ms`, `12.4 s` */
export function latencyText(durationMs: number | null | undefined): string {
  return durationMs === null || durationMs === undefined ? NONE : formatQuantity(durationMs, 'ms');
}

/** `4,950/s`, `1.2/s`, `3/min`, `1.5/h` */
export function perSecondText(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return NONE;
  if (perSecond === 0) return '0/s';
  if (perSecond >= 100) return `${WHOLE.format(perSecond)}/s`;
  if (perSecond >= 0.1) return `${Number(perSecond.toPrecision(2))}/s`;
  return perSecond >= 1 / 600
    ? `${Number((perSecond * 60).toPrecision(2))}/min`
    : `${Number((perSecond * 3_600).toPrecision(2))}/h`;
}

/** Failures of trials; null without trials. */
export function rateOf(failures: number, trials: number): number | null {
  return trials === 0 ? null : failures / trials;
}
