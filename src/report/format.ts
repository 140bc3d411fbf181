import type { RolloutChange } from '../model/event-entry.js';
import { formatQuantity, formatThreshold } from '../support/wording.js';

/** `2026-11-23 14:05:09 UTC` */
export function formatTime(at: number): string {
  if (!Number.isFinite(at) || Math.abs(at) > 8.64e15) return 'an unknown time';
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A rate as a percentage with two decimals; `–` when there is none. */
export function formatShare(rate: number | undefined): string {
  return rate === undefined ? '–' : `${(rate * 100).toFixed(2)} %`;
}

/** A percentage of 0–100 without meaningless digits: `10 %`, `12.5 %`. */
export function formatPercentage(percentage: number): string {
  return formatThreshold(percentage / 100);
}

/**
 * `10 %`, `on`, `off`
 *
 * @param on - The word for a flag that is on without a single percentage.
 */
export function rolloutWord({ enabled, percentage }: RolloutChange, on = 'on'): string {
  if (!enabled) return 'off';
  return percentage === undefined ? on : formatPercentage(percentage);
}

/** At least three digits: `3.21 ms`, `842 ms`, `12.4 s`; `–` when there is none. */
export function formatLatency(durationMs: number | undefined): string {
  return durationMs === undefined ? '–' : formatQuantity(durationMs, 'ms');
}

/** How much better or worse: `+0.52 points`, `−1.20 points`. */
export function formatPoints(difference: number | undefined): string {
  if (difference === undefined) return '–';
  const points = Math.abs(difference * 100).toFixed(2);
  return `${difference < 0 && Number(points) !== 0 ? '−' : '+'}${points} points`;
}

/** How much faster: `18.2 % faster`, `3.0 % slower`. */
export function formatImprovement(improvement: number | undefined): string {
  if (improvement === undefined) return '–';
  return `${Math.abs(improvement * 100).toFixed(1)} % ${improvement < 0 ? 'slower' : 'faster'}`;
}

/** Names and messages come from outside: nothing in them is a tag or an entity. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
