import type { GivenRules } from '../../guard/rules.js';
import { Random } from './random.js';
import { type Scenario, type SimulatedRollout, simulateRollout } from './rollout.js';

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

/** The options of {@link simulate}. */
interface SimulationOptions {
  readonly rules: GivenRules;
  readonly scenario: Scenario;
  /** Simulated rollouts for each kind of traffic. */
  readonly replicates: number;
  /** The same seed gives the same result. */
  readonly seed: number;
  /** Called after each simulated rollout. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How the user's own configuration behaves. Plain data. */
export interface Simulation {
  readonly scenario: Scenario;
  readonly replicates: number;
  readonly seed: number;
  /** The treatment is as good as the control: every stop is a false one. */
  readonly healthy: Characteristics;
  /** The treatment is as in the scenario. */
  readonly actual: Characteristics;
  /** What this stage can detect, from slight to complete failure; with half of the replicates. */
  readonly detectable: readonly Characteristics[];
}

/** Failure rates whose detection is of interest, as multiples of the control's and as such. */
const MULTIPLES = [2, 3, 5, 10];
const RATES = [0.3, 1];

/** Simulates the healthy rollout, the scenario's, and those with failure rates in between and beyond. */
export function simulate({ rules, scenario, replicates, seed, onProgress }: SimulationOptions): Simulation {
  const { controlFailureRate, treatmentFailureRate } = scenario;
  const rates = [...new Set([...MULTIPLES.map((times) => rounded(times * controlFailureRate)), ...RATES])]
    .filter((rate) => rate > controlFailureRate && rate <= 1)
    .sort((a, b) => a - b);
  const fewer = Math.max(20, Math.round(replicates / 2));
  const isHealthy = treatmentFailureRate === controlFailureRate && scenario.slowdown === 1;
  // What has been simulated is not simulated twice.
  const known = (rate: number) => rate === treatmentFailureRate && scenario.slowdown === 1;
  const left = rates.filter((rate) => !known(rate)).length;
  const total = replicates * (isHealthy ? 1 : 2) + fewer * left;
  let done = 0;
  const onRollout = () => onProgress?.(++done, total);
  const play = (part: number, changes: Partial<Scenario>, count: number) =>
    characterise(
      rules,
      { ...scenario, ...changes },
      { replicates: count, seed: seed + part * 7_919 },
      onRollout,
    );

  const healthy = play(0, { treatmentFailureRate: controlFailureRate, slowdown: 1 }, replicates);
  const actual = isHealthy ? healthy : play(1, {}, replicates);
  const detectable = rates.map((rate, i) =>
    known(rate) ? actual : play(2 + i, { treatmentFailureRate: rate, slowdown: 1 }, fewer),
  );
  return { scenario, replicates, seed, healthy, actual, detectable };
}

function rounded(rate: number): number {
  return Number(rate.toPrecision(12));
}

/** Simulates a scenario many times. The same seed gives the same result. */
export function characterise(
  rules: GivenRules,
  scenario: Scenario,
  { replicates, seed }: Pick<SimulationOptions, 'replicates' | 'seed'>,
  onRollout = () => {},
): Characteristics {
  const rollouts: SimulatedRollout[] = [];
  // In 32 bits: the product of a large seed is no exact double, and replicates would be copies of each other.
  const firstSeed = Math.imul(seed, 1_000_003);
  for (let replicate = 0; replicate < replicates; replicate++) {
    rollouts.push(simulateRollout(rules, scenario, new Random(firstSeed + replicate)));
    onRollout();
  }
  const stopped = rollouts.filter(({ stoppedBy }) => stoppedBy.length > 0);
  const spread = (value: (rollout: SimulatedRollout) => number) => spreadOf(stopped.map(value), replicates);
  return {
    treatmentFailureRate: scenario.treatmentFailureRate,
    replicates,
    stopped: proportionOf(stopped.length, replicates),
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
