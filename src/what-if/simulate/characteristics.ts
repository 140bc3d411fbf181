import { Random } from './random.js';
import { simulateRollout } from './rollout.js';
import type { Scenario, SimulatedRollout, SimulatedRules } from './scenario.js';

/** A part of all simulated rollouts, with a 95 % interval for what more rollouts would show. */
export interface Proportion {
  readonly count: number;
  readonly rate: number;
  readonly lower: number;
  readonly upper: number;
}

/** The middle, and the value that 95 % of all simulated rollouts do not exceed; null where they were not stopped. */
export interface Spread {
  readonly median: number | null;
  readonly p95: number | null;
}

/** What a configuration does with one kind of traffic. */
export interface Characteristics {
  readonly treatmentFailureRate: number;
  readonly replicates: number;
  readonly stopped: Proportion;
  /** How often each trigger was among those that stopped a rollout, most frequent first. */
  readonly stoppedBy: readonly { readonly trigger: string; readonly count: number }[];
  /** How often each review was opened before. */
  readonly reviews: readonly { readonly trigger: string; readonly count: number }[];
  /** Requests of the treatment until the stop. */
  readonly treatmentRequests: Spread;
  readonly minutes: Spread;
  /** Requests of the treatment that failed until the stop. */
  readonly failingRequests: Spread;
}

/** How often, and from where on in the sequence of random numbers. */
export interface SimulationRun {
  readonly replicates: number;
  readonly seed: number;
  /** Called after each rollout. */
  readonly onRollout?: (() => void) | undefined;
}

/** Simulates a scenario many times. The same seed gives the same answer. */
export function characterise(rules: SimulatedRules, scenario: Scenario, run: SimulationRun): Characteristics {
  const rollouts: SimulatedRollout[] = [];
  // In 32 bits: the product of a large seed is no exact double, and replicates would be copies of each other.
  const firstSeed = Math.imul(run.seed, 1_000_003);
  for (let replicate = 0; replicate < run.replicates; replicate++) {
    rollouts.push(simulateRollout(rules, scenario, new Random(firstSeed + replicate)));
    run.onRollout?.();
  }
  const stopped = rollouts.filter(({ stoppedBy }) => stoppedBy.length > 0);
  const spread = (value: (rollout: SimulatedRollout) => number) =>
    spreadOf(stopped.map(value), run.replicates);
  return {
    treatmentFailureRate: scenario.treatmentFailureRate,
    replicates: run.replicates,
    stopped: proportionOf(stopped.length, run.replicates),
    stoppedBy: frequencies(stopped.flatMap(({ stoppedBy }) => stoppedBy)),
    reviews: frequencies(rollouts.flatMap(({ reviews }) => reviews)),
    treatmentRequests: spread(({ treatmentRequests }) => treatmentRequests),
    minutes: spread(({ endedAtMs }) => endedAtMs / 60_000),
    failingRequests: spread(({ treatmentFailures }) => treatmentFailures),
  };
}

/** The 95 % score interval of Wilson (1927). */
export function proportionOf(count: number, total: number): Proportion {
  const z = 1.959964;
  const rate = count / total;
  const middle = (rate + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half =
    (z / (1 + (z * z) / total)) * Math.sqrt((rate * (1 - rate)) / total + (z * z) / (4 * total * total));
  return { count, rate, lower: Math.max(0, middle - half), upper: Math.min(1, middle + half) };
}

/** Rollouts without a value are those that were never stopped: larger than any value. */
function spreadOf(values: readonly number[], total: number): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (q: number) => sorted[Math.ceil(q * total) - 1] ?? null;
  return { median: quantile(0.5), p95: quantile(0.95) };
}

function frequencies(names: readonly string[]): { trigger: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([trigger, count]) => ({ trigger, count })).sort((a, b) => b.count - a.count);
}
