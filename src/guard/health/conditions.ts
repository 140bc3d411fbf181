import type { HealthReason } from '../../model/health.js';
import { CHECKS, type HealthCheck, LATE_MS } from './checks.js';
import type { HealthFacts } from './health-facts.js';

/** A blinding problem must be gone for so long before the guard sees again: one that comes and goes is reported once. */
const CLEAR_AFTER_MS = 30_000;

/** A problem that was found, and for how long. */
interface Condition {
  readonly reason: HealthReason;
  /** For how long it has been found without a break, in milliseconds. */
  readonly lastedMs: number;
  /** For how long it has not been found any more, in milliseconds. */
  readonly goneMs: number;
  /** It lasted long enough: the guard is blind. */
  readonly isBlinding: boolean;
}

/** By the problem's code. */
export type Conditions = ReadonlyMap<string, Condition>;

/**
 * What has become of the problems since the last time. Pure.
 *
 * @param elapsedMs - The time since then. Of a longer break, in which this process did not run, only a part counts.
 * @param now - Milliseconds since 1970.
 */
export function stepConditions(
  before: Conditions,
  facts: HealthFacts,
  elapsedMs: number,
  now: number,
  checks: readonly HealthCheck[] = CHECKS,
): Conditions {
  const ranMs = Math.min(elapsedMs, Math.max(LATE_MS, facts.tickMs));
  const after = new Map<string, Condition>();
  for (const { afterMs, find } of checks) {
    for (const { code, message, since } of [find(facts) ?? []].flat()) {
      if (after.has(code)) continue;
      const known = before.get(code);
      const lastedMs = known === undefined ? 0 : known.lastedMs + ranMs;
      const neededMs = typeof afterMs === 'function' ? afterMs(facts) : afterMs;
      after.set(code, {
        reason: { code, message, since: known?.reason.since ?? since ?? now },
        lastedMs,
        goneMs: 0,
        isBlinding: known?.isBlinding === true || lastedMs >= neededMs,
      });
    }
  }
  for (const [code, known] of before) {
    const goneMs = known.goneMs + ranMs;
    if (known.isBlinding && goneMs < CLEAR_AFTER_MS && !after.has(code))
      after.set(code, { ...known, goneMs });
  }
  return after;
}

/** Why the guard is blind, oldest first. */
export function reasonsOf(conditions: Conditions): HealthReason[] {
  return [...conditions.values()]
    .filter(({ isBlinding }) => isBlinding)
    .map(({ reason }) => reason)
    .sort((a, b) => a.since - b.since);
}
