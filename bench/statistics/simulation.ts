import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import type { Arm } from '../../src/model/shapes.js';
import { LatencyRegression } from '../../src/statistics/latency.js';
import { OncePerKey } from '../../src/statistics/once-per-key.js';
import { Random } from '../../src/what-if/simulate/random.js';
import type { Detector } from './naive-rules.js';

/** When a detector stopped, over the replicates of one simulation. */
export class Stops {
  readonly #treatmentOutcomes: number[] = [];
  #replicates = 0;

  /** @param treatmentOutcomes - Of the treatment until the stop, counted from the onset; undefined without a stop. */
  add(treatmentOutcomes: number | undefined): void {
    this.#replicates++;
    if (treatmentOutcomes !== undefined) this.#treatmentOutcomes.push(treatmentOutcomes);
  }

  /** The part of the replicates that stopped. */
  get rate(): number {
    return this.#treatmentOutcomes.length / this.#replicates;
  }

  /** The treatment outcomes until the stop that a fraction `q` of the replicates does not exceed. */
  delay(q: number): number {
    const sorted = this.#treatmentOutcomes.sort((a, b) => a - b);
    return sorted[Math.ceil(q * this.#replicates) - 1] ?? Number.POSITIVE_INFINITY;
  }
}

export interface Traffic {
  readonly seed: number;
  readonly replicates: number;
  /** Outcomes of both arms after the onset, at most. */
  readonly observations: number;
  /** The treatment's share of the traffic, 0–1. */
  readonly share: number;
}

export interface FailureScenario extends Traffic {
  readonly controlRate: number;
  readonly treatmentRate: number;
  /** Outcomes of both arms in which the treatment still fails like the control. @default 0 */
  readonly healthyFirst?: number;
}

/**
 * Peeks after every outcome with fresh detectors in each replicate, all on the same outcomes. A replicate in which a
 * detector stopped before the onset does not count for it.
 */
export function simulateFailures<Name extends string>(
  scenario: FailureScenario,
  detectors: Readonly<Record<Name, () => Detector>>,
): Record<Name, Stops> {
  const { share, controlRate, treatmentRate } = scenario;
  const names = Object.keys(detectors) as Name[];
  const stops = names.map(() => new Stops());
  const random = new Random(scenario.seed);
  const onset = scenario.healthyFirst ?? 0;
  for (let replicate = 0; replicate < scenario.replicates; replicate++) {
    const running = names.map((name) => detectors[name]());
    const stoppedAfter = names.map((): number | undefined => undefined);
    let left = names.length;
    let treatmentOutcomes = 0;
    for (let t = -onset; t < scenario.observations && left > 0; t++) {
      const treatment = random.chance(share);
      const failed = random.chance(treatment && t >= 0 ? treatmentRate : controlRate);
      if (treatment && t >= 0) treatmentOutcomes++;
      for (let i = 0; i < running.length; i++) {
        if (stoppedAfter[i] !== undefined || !running[i]!.observe(treatment, failed)) continue;
        stoppedAfter[i] = t < 0 ? -1 : treatmentOutcomes;
        left--;
      }
    }
    for (const [i, after] of stoppedAfter.entries()) if (after !== -1) stops[i]!.add(after);
  }
  return Object.fromEntries(names.map((name, i) => [name, stops[i]])) as Record<Name, Stops>;
}

export interface DependenceScenario extends Traffic {
  readonly outcomesPerUser: number;
  /** The part of the users for whom everything fails, in either arm. */
  readonly failingUsers: number;
}

/** Users who come back: some always fail, no other ever does. The arms do not differ. */
export function simulateDependence(
  scenario: DependenceScenario,
  detector: () => Detector,
): Record<'everyOutcome' | 'oncePerKey', Stops> {
  const random = new Random(scenario.seed);
  const users = Math.round(scenario.observations / scenario.outcomesPerUser);
  const everyOutcome = new Stops();
  const oncePerKey = new Stops();
  for (let replicate = 0; replicate < scenario.replicates; replicate++) {
    const keys = Array.from({ length: users }, (_, user) => `user-${user}`);
    const treated = keys.map(() => random.chance(scenario.share));
    const failing = keys.map(() => random.chance(scenario.failingUsers));
    const all = detector();
    const first = detector();
    const once = new OncePerKey(replicate, 17);
    let allAfter: number | undefined;
    let firstAfter: number | undefined;
    for (let t = 0; t < scenario.observations; t++) {
      const user = Math.floor(random.next() * users);
      const isTreated = treated[user]!;
      const failed = failing[user]!;
      if (allAfter === undefined && all.observe(isTreated, failed)) allAfter = t;
      if (firstAfter === undefined && once.first(keys[user]) && first.observe(isTreated, failed))
        firstAfter = t;
    }
    everyOutcome.add(allAfter);
    oncePerKey.add(firstAfter);
  }
  return { everyOutcome, oncePerKey };
}

export interface LatencyScenario extends Traffic {
  /** Quantile function of the control's durations, in milliseconds. */
  readonly quantile: (q: number) => number;
  /** How many times as long the treatment takes. */
  readonly slowdown: number;
  readonly ratio: number;
}

/** A detector of durations. */
export interface DurationDetector {
  observe(treatment: boolean, durationMs: number): boolean;
}

/** Durations drawn from a fine table of the distribution's quantiles, evaluated by the latency test and by a naive rule. */
export function simulateLatency(
  scenario: LatencyScenario,
  naiveRule?: () => DurationDetector,
): Record<'sequential' | 'naive', Stops> {
  const random = new Random(scenario.seed);
  const table = Float64Array.from({ length: 1 << 12 }, (_, i) => scenario.quantile((i + 0.5) / (1 << 12)));
  const sequential = new Stops();
  const naive = new Stops();
  for (let replicate = 0; replicate < scenario.replicates; replicate++) {
    const control = new LatencyHistogram();
    const test = latencyTest(scenario.ratio, control);
    const rule = naiveRule?.();
    let testAfter: number | undefined;
    let ruleAfter: number | undefined;
    let treatmentOutcomes = 0;
    for (let t = 0; t < scenario.observations; t++) {
      const treatment = random.chance(scenario.share);
      const durationMs = table[random.bits() >>> 20]! * (treatment ? scenario.slowdown : 1);
      if (treatment) treatmentOutcomes++;
      else control.record(durationMs);
      if (testAfter === undefined) {
        const arm: Arm = treatment ? 'treatment' : 'control';
        test.observe(arm, false, true, durationMs);
        if (test.breached) testAfter = treatmentOutcomes;
      }
      if (ruleAfter === undefined && rule?.observe(treatment, durationMs)) ruleAfter = treatmentOutcomes;
      if (testAfter !== undefined && (rule === undefined || ruleAfter !== undefined)) break;
    }
    sequential.add(testAfter);
    naive.add(ruleAfter);
  }
  return { sequential, naive };
}

/** A test that compares with these durations of a control. */
export function latencyTest(ratio: number, control: LatencyHistogram): LatencyRegression {
  const request = { test: 'latency-regression', alpha: 0.05, ratio } as const;
  return new LatencyRegression(request, { treatment: new LatencyHistogram(), control });
}
