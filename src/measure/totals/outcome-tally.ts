import type { Arm, ArmCounts } from '../../model/shapes.js';
import { armCounts, fallbackSuccesses } from '../arm-counts.js';
import type { MetricTally } from '../metrics/metric-sums.js';
import type { CountedDelta } from '../outcome-delta.js';
import type { Counted } from './counted.js';

/** Exposures of each arm that became due without an outcome. */
export type Unfinished = Readonly<Record<Arm, number>>;

/** What one arm did. */
export interface ArmTally extends ArmCounts {
  /** Users who were served: successes, and failures whose fallback succeeded. */
  readonly userSuccesses: number;
  /** Exposures that became due and had no outcome. */
  readonly unfinished: number;
  /** Most frequent first. */
  readonly errorTypes: readonly (readonly [errorType: string, count: number])[];
  readonly latency: CountedDelta['latency'][Arm];
}

/** Everything that a store counted between two moments, whatever the epoch. */
export interface OutcomeTally {
  readonly arms: Readonly<Record<Arm, ArmTally>>;
  /** The first and the latest outcome that was recorded in this process; undefined when all came from others. */
  readonly firstOutcomeAt: number | undefined;
  readonly lastOutcomeAt: number | undefined;
  /** Units of metrics whose time ended between them. */
  readonly metrics: readonly MetricTally[];
}

export function tallyOf(
  counted: Counted,
  unfinished: Unfinished,
  firstOutcomeAt: number | undefined,
  lastOutcomeAt: number | undefined,
  metrics: readonly MetricTally[],
): OutcomeTally {
  const armOf = (arm: Arm): ArmTally => {
    const counts = armCounts(counted.counts, arm);
    return {
      ...counts,
      userSuccesses: counts.successes + fallbackSuccesses(counted.counts, arm),
      unfinished: unfinished[arm],
      errorTypes: counted.errors[arm].sorted().map(({ errorType, count }) => [errorType, count] as const),
      latency: counted.latency[arm].toSparse(),
    };
  };
  return {
    arms: { treatment: armOf('treatment'), control: armOf('control') },
    firstOutcomeAt,
    lastOutcomeAt,
    metrics,
  };
}
