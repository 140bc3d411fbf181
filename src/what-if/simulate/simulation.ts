import { type Characteristics, characterise } from './characteristics.js';
import type { Scenario, SimulatedRules } from './scenario.js';

/** The options of {@link simulate}. */
export interface SimulationOptions {
  readonly rules: SimulatedRules;
  readonly scenario: Scenario;
  /** Simulated rollouts for each kind of traffic. */
  readonly replicates: number;
  /** The same seed gives the same answer. */
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
  /** The treatment is what the scenario says. */
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
      { replicates: count, seed: seed + part * 7_919, onRollout },
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
