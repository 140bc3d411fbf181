import type { Context } from 'unleash-client';
import type { Rule } from './strategy-rule.js';

/** One draw of a number from 1 to 100 for a context; the flag is on when it is at most the percentage. */
export interface Draw {
  /** Draws with the same key draw the same number: same group, same value. A rule that draws anew is its own key. */
  readonly key: string | Rule;
  readonly percentage: number;
  /** The value that was hashed. */
  readonly unit: string | undefined;
}

/**
 * The draws of one flag for one context: it is on when any of them succeeds.
 *
 * @param rules - Those that admit the context.
 */
export function drawsOf(rules: readonly Rule[], context: Context): readonly Draw[] {
  return rules.map((rule) => {
    const unit = rule.unit(context);
    const key = unit === undefined ? rule : `${rule.groupId}:${unit}`;
    return { key, percentage: rule.percentage, unit };
  });
}

/** Whether the flag is on whatever number is drawn. */
export function isSure(draws: readonly Draw[]): boolean {
  return draws.some(({ percentage }) => percentage === 100);
}

/**
 * The probability that each of some flags is on, and none of some draws succeeds: a fraction 0–1. Draws that hash alike
 * count by the greatest percentage, those that hash differently are independent.
 *
 * @param on - The draws of each flag that must be on.
 * @param off - The draws of all flags that must be off.
 */
export function chanceOf(on: readonly (readonly Draw[])[], off: readonly Draw[] = []): number {
  if (on.length === 1 && off.length === 0 && on[0]!.length === 1) return on[0]![0]!.percentage / 100;
  // The sum leaves traces such as 0.09999999999999998.
  return Math.round(exactChanceOf(on, off) * 1e12) / 1e12;
}

/** A flag is on and the rest holds: the rest, without the cases in which the flag is off. */
function exactChanceOf([flag, ...others]: readonly (readonly Draw[])[], off: readonly Draw[]): number {
  if (flag === undefined) return chanceOfNone(off);
  return exactChanceOf(others, off) - exactChanceOf(others, [...off, ...flag]);
}

function chanceOfNone(draws: readonly Draw[]): number {
  const greatest = new Map<string | Rule, number>();
  for (const { key, percentage } of draws) greatest.set(key, Math.max(greatest.get(key) ?? 0, percentage));
  let chance = 1;
  for (const percentage of greatest.values()) chance *= 1 - percentage / 100;
  return chance;
}

/**
 * The unit that draws are made for: the value that all of them hash, or their values together when they hash different
 * ones. Undefined when each evaluation is drawn anew.
 */
export function unitOf(draws: readonly Draw[]): string | undefined {
  const first = draws[0]?.unit;
  if (draws.every(({ unit }) => unit === first)) return first;
  const values = new Set(draws.flatMap(({ unit }) => unit ?? []));
  return values.size === 0 ? undefined : [...values].join('|');
}
