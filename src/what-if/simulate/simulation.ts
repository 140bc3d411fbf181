import type { GivenRules } from '../../guard/options/rules.js';
import { Random } from './random.js';
import { type SimulatedRollout, simulateRollout } from './rollout.js';
import { type Scenario, type Service, scenariosOf } from './scenarios.js';

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

/** What the rules do in one scenario, over the whole rollout. */
export interface Characteristics {
  readonly name: string;
  readonly description: string;
  /** Whether a stop is right. */
  readonly harmful: boolean;
  readonly replicates: number;
  readonly stopped: Proportion;
  /** How often each trigger was among those that stopped a rollout, most frequent first. */
  readonly stoppedBy: readonly { readonly trigger: string; readonly count: number }[];
  /** In how many rollouts each rollback trigger in dry run would have stopped, most frequent first. */
  readonly wouldHaveStopped: readonly { readonly trigger: string; readonly count: number }[];
  /** How often each review was opened. */
  readonly reviews: readonly { readonly trigger: string; readonly count: number }[];
  /** Rollouts in which a stage was called missed. */
  readonly missed: Proportion;
  /** Rollouts in which a stage was called met after the harm began. */
  readonly metAfterHarm: Proportion;
  /** Minutes until the stop: from the beginning of the harm, where there is any. */
  readonly minutes: Spread;
  /** Calls of the treatment until then. */
  readonly treatmentCalls: Spread;
  /** Of these, those that failed or hung: the harm done. */
  readonly harmedCalls: Spread;
}

/** The options of {@link simulate}. */
interface SimulationOptions {
  readonly rules: GivenRules;
  readonly service: Service;
  /** Simulated rollouts for each scenario. */
  readonly replicates: number;
  /** The same seed gives the same result. */
  readonly seed: number;
  /** Called after each simulated rollout. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** How the user's own configuration behaves. Plain data. */
export interface Simulation {
  readonly service: Service;
  readonly replicates: number;
  readonly seed: number;
  readonly scenarios: readonly Characteristics[];
}

/** Plays whole rollouts of each kind. */
export function simulate({ rules, service, replicates, seed, onProgress }: SimulationOptions): Simulation {
  const scenarios = scenariosOf(service);
  const total = replicates * scenarios.length;
  let done = 0;
  const characteristics = scenarios.map((scenario, index) =>
    characterise(rules, scenario, { replicates, seed: seed + index * 7_919 }, () =>
      onProgress?.(++done, total),
    ),
  );
  return { service, replicates, seed, scenarios: characteristics };
}

/** Plays one scenario many times. The same seed gives the same result. */
export function characterise(
  rules: GivenRules,
  scenario: Scenario,
  { replicates, seed }: Pick<SimulationOptions, 'replicates' | 'seed'>,
  onRollout = () => {},
): Characteristics {
  const { name, description, harmful } = scenario;
  const rollouts: SimulatedRollout[] = [];
  let harmFromMs = 0;
  // In 32 bits: the product of a large seed is no exact double, and replicates would be copies of each other.
  const firstSeed = Math.imul(seed, 1_000_003);
  for (let replicate = 0; replicate < replicates; replicate++) {
    const random = new Random(firstSeed + replicate);
    const traffic = scenario.traffic(random);
    harmFromMs = traffic.harmFromMs ?? 0;
    rollouts.push(simulateRollout(rules, traffic, random));
    onRollout();
  }
  const stopped = rollouts.filter(({ stoppedBy }) => stoppedBy.length > 0);
  const missed = rollouts.filter(({ stageStatuses }) =>
    stageStatuses.some((stage) => stage.includes('missed')),
  );
  const spread = (value: (rollout: SimulatedRollout) => number) => spreadOf(stopped.map(value), replicates);
  return {
    name,
    description,
    harmful,
    replicates,
    stopped: proportionOf(stopped.length, replicates),
    stoppedBy: frequencies(stopped.flatMap(({ stoppedBy }) => stoppedBy)),
    wouldHaveStopped: frequencies(rollouts.flatMap(({ wouldHaveStopped }) => wouldHaveStopped)),
    reviews: frequencies(rollouts.flatMap(({ reviews }) => reviews)),
    missed: proportionOf(missed.length, replicates),
    metAfterHarm: proportionOf(rollouts.filter((each) => each.metAfterHarm).length, replicates),
    minutes: spread(({ endedAtMs }) => (endedAtMs - harmFromMs) / 60_000),
    treatmentCalls: spread(({ treatmentCalls }) => treatmentCalls),
    harmedCalls: spread(({ harmedCalls }) => harmedCalls),
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
