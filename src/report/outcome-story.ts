import { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { ARMS, type Arm, type Outcome } from '../model/shapes.js';
import type { ArmReport, Comparison, ErrorTypeReport, ExecutionTypeReport } from './rollout-report.js';
import { Tally, TimeSeries } from './time-series.js';

const MAX_EXECUTION_TYPES = 20;
const MAX_EPOCHS = 500;

/** The treatment's outcomes of one epoch, and the rollout's percentage. */
interface EpochStory {
  readonly firstAt: number;
  percentage: number | undefined;
  successes: number;
  failures: number;
}

/** Adds up all outcomes of a log, in bounded memory. */
export class OutcomeStory {
  readonly series = new TimeSeries();
  /** In the order in which they appeared; the first 500. */
  readonly epochs = new Map<number, EpochStory>();
  /** The only flag whose outcomes may be added; undefined before the first. */
  flagKey: string | undefined;
  count = 0;
  from = Number.POSITIVE_INFINITY;
  to = Number.NEGATIVE_INFINITY;
  /** The guard's own store; the whole log is one epoch. */
  readonly #store = new MemoryOutcomeStore({ flagKey: 'report', windowsMs: [], now: 0 });
  readonly #userSuccesses: Record<Arm, number> = { treatment: 0, control: 0 };
  readonly #executionTypes = new Map<string, Tally>();

  /** Adds the next outcome. */
  add(outcome: Outcome, executionType: string, percentage: number | undefined): void {
    const { at, exposure, result, userSucceeded } = outcome;
    this.count += 1;
    this.from = Math.min(this.from, at);
    this.to = Math.max(this.to, at);
    this.#store.record(exposure.epoch >= 0 ? outcome : { ...outcome, exposure: { ...exposure, epoch: 0 } });
    this.series.add(outcome);
    this.#addEpoch(outcome, percentage);
    if (result !== 'success' && result !== 'failure') return;
    if (userSucceeded) this.#userSuccesses[exposure.arm] += 1;
    // Here the user counts: a fallback that worked is a success of the path that served.
    this.#executionType(executionType).add(userSucceeded, outcome.durationMs);
  }

  /** The arms over the whole log. */
  arms(): Readonly<Record<Arm, ArmReport>> {
    const { total } = this.#store.snapshot(this.to);
    const armOf = (arm: Arm): ArmReport => {
      const { errorTypes: _, lastOutcomeAt: __, ...totals } = total[arm];
      const counted = totals.successes + totals.failures;
      const rateOf = (count: number) => (counted === 0 ? undefined : count / counted);
      const userSuccessRate = rateOf(this.#userSuccesses[arm]);
      return { ...totals, counted, successRate: rateOf(totals.successes), userSuccessRate };
    };
    return { treatment: armOf('treatment'), control: armOf('control') };
  }

  /** Failures by error type, most frequent first. */
  errorTypes(): readonly ErrorTypeReport[] {
    const { total } = this.#store.snapshot(this.to);
    const byType = new Map<string, Record<Arm, number>>();
    for (const arm of ARMS) {
      for (const { errorType, count } of total[arm].errorTypes) {
        const counts = byType.get(errorType) ?? { treatment: 0, control: 0 };
        counts[arm] += count;
        byType.set(errorType, counts);
      }
    }
    return Array.from(byType, ([errorType, counts]) => ({ errorType, ...counts })).sort(
      (a, b) => b.treatment + b.control - (a.treatment + a.control) || (a.errorType < b.errorType ? -1 : 1),
    );
  }

  /** By execution type, most frequent first. */
  executionTypes(): readonly ExecutionTypeReport[] {
    return Array.from(this.#executionTypes, ([executionType, { counted, successes, latency }]) => ({
      executionType,
      count: counted,
      successRate: successes / counted,
      meanMs: latency.meanMs,
      p50Ms: latency.quantile(0.5),
      p95Ms: latency.quantile(0.95),
      p99Ms: latency.quantile(0.99),
    })).sort((a, b) => b.count - a.count);
  }

  #addEpoch({ at, exposure, result }: Outcome, percentage: number | undefined): void {
    let epoch = this.epochs.get(exposure.epoch);
    if (epoch === undefined) {
      if (this.epochs.size >= MAX_EPOCHS) return;
      epoch = { firstAt: at, percentage, successes: 0, failures: 0 };
      this.epochs.set(exposure.epoch, epoch);
    }
    epoch.percentage ??= percentage;
    if (exposure.arm !== 'treatment') return;
    if (result === 'success') epoch.successes += 1;
    if (result === 'failure') epoch.failures += 1;
  }

  #executionType(name: string): Tally {
    const types = this.#executionTypes;
    const bounded = types.has(name) || types.size < MAX_EXECUTION_TYPES - 1 ? name : 'other';
    const known = types.get(bounded) ?? new Tally();
    types.set(bounded, known);
    return known;
  }
}

/** The treatment against the control. */
export function compareArms({ treatment, control }: Readonly<Record<Arm, ArmReport>>): Comparison {
  const improvement = (key: 'meanMs' | 'p50Ms' | 'p95Ms' | 'p99Ms') => {
    const mine = treatment.latency?.[key];
    const theirs = control.latency?.[key];
    return mine === undefined || theirs === undefined || theirs === 0 ? undefined : 1 - mine / theirs;
  };
  return {
    successRateDifference:
      treatment.successRate === undefined || control.successRate === undefined
        ? undefined
        : treatment.successRate - control.successRate,
    latencyImprovement: {
      mean: improvement('meanMs'),
      p50: improvement('p50Ms'),
      p95: improvement('p95Ms'),
      p99: improvement('p99Ms'),
    },
  };
}
