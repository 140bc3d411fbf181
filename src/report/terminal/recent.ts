import { LatencyHistogram } from '../../measure/latency-histogram.js';
import type { Arm } from '../../model/shapes.js';
import type { RolloutHistory } from '../../rollups/rollup.js';

/** How far back a terminal shows what happened, in milliseconds. */
export const WATCHED_MS = 3_600_000;

/** What one arm did in one cell of a sparkline; undefined where nothing happened. */
interface ArmPoint {
  readonly errorRate: number | undefined;
  readonly p95: number | undefined;
}

/** The latest hour of an arm in so many cells, the oldest first. */
export function armPoints({ rollups }: RolloutHistory, arm: Arm, now: number, cells: number): ArmPoint[] {
  const cellMs = WATCHED_MS / cells;
  const from = now - WATCHED_MS;
  const sums = Array.from({ length: cells }, () => ({
    trials: 0,
    failures: 0,
    latency: new LatencyHistogram(),
  }));
  for (const { at, durationMs, arms } of rollups) {
    if (at + durationMs <= from || at > now) continue;
    const { successes, failures, latency } = arms[arm];
    // The last minute, which is not over, belongs to the last cell.
    const sum = sums[Math.min(cells - 1, Math.max(0, Math.floor((at + durationMs / 2 - from) / cellMs)))]!;
    sum.trials += successes + failures;
    sum.failures += failures;
    sum.latency.addSparse(latency);
  }
  return sums.map(({ trials, failures, latency }) => ({
    errorRate: trials === 0 ? undefined : failures / trials,
    p95: latency.quantile(0.95),
  }));
}
