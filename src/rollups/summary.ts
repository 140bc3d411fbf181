import { LatencyHistogram } from '../measure/latency-histogram.js';
import type { Rollup, RollupArm } from './rollup.js';

/** One group of outcomes in `summary.json`. */
interface GroupSummary {
  /** All outcomes, `expected` and `aborted` included. */
  readonly count: number;
  readonly successes: number;
  readonly failures: number;
  /** Of successes and failures, the fraction that succeeded; null while there is neither. */
  readonly success_rate: number | null;
  /** Of the successes' durations, in milliseconds; null before the first, and for fallbacks. Quantiles are within 1 %. */
  readonly mean_ms: number | null;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
}

/** How much better the treatment is than the control; negative where it is worse, null where one has no data. */
interface Improvement {
  /** The difference of the success rates, as a fraction: 0.01 is one percentage point more. */
  readonly success_rate: number | null;
  /** The fraction of the control's time that is saved: 0.25 is a quarter faster. */
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

/** The whole rollout so far in one small file, over all epochs and restarts: every outcome, whether the log has a line of it or not. */
export interface Summary {
  readonly version: 1;
  readonly flag_key: string;
  readonly updated_at: string;
  readonly first_outcome_at: string | null;
  readonly last_outcome_at: string | null;
  readonly epoch: number | null;
  readonly percentage: number | null;
  /** Outcomes that are counted here and missing in the log, because it could not be written. */
  readonly dropped_lines: number;
  readonly total: GroupSummary;
  /** By arm: a fallback is the treatment's failure. */
  readonly arms: Readonly<Record<'treatment' | 'control', GroupSummary>>;
  /** By execution type, as users saw it: a fallback that succeeded is a success of `sync_fallback`. */
  readonly execution_types: Readonly<Record<string, GroupSummary>>;
  readonly treatment_against_control: Improvement;
}

/** What a summary is made from. */
export interface SummaryFacts {
  readonly flagKey: string;
  /** Milliseconds since 1970. */
  readonly updatedAt: number;
  /** Everything so far, as one rollup; undefined before the first outcome. */
  readonly total: Rollup | undefined;
  readonly firstOutcomeAt: number | undefined;
  readonly lastOutcomeAt: number | undefined;
  readonly droppedLines: number;
  /** The application's names of the paths that serve users. */
  readonly executionTypes: Readonly<Record<'treatment' | 'control' | 'fallback', string>>;
}

/** The contents of `summary.json`. Pure. */
export function summaryOf(facts: SummaryFacts): Summary {
  const { flagKey, updatedAt, total, firstOutcomeAt, lastOutcomeAt, droppedLines } = facts;
  const treatment = groupOf(total?.arms.treatment);
  const control = groupOf(total?.arms.control);
  const arms = { treatment: treatment.summary(), control: control.summary() };
  const rate = (arm: keyof typeof arms) => arms[arm].success_rate;
  const saved = (figure: 'mean_ms' | 'p50_ms' | 'p95_ms' | 'p99_ms') =>
    savedShare(arms.treatment[figure], arms.control[figure]);
  const [better, worse] = [rate('treatment'), rate('control')];
  return {
    version: 1,
    flag_key: flagKey,
    updated_at: new Date(updatedAt).toISOString(),
    first_outcome_at: isoTime(firstOutcomeAt),
    last_outcome_at: isoTime(lastOutcomeAt),
    epoch: total?.epoch ?? null,
    percentage: total?.percentage ?? null,
    dropped_lines: droppedLines,
    total: new Group().merge(treatment).merge(control).summary(),
    arms,
    execution_types: executionTypes(facts),
    treatment_against_control: {
      success_rate: better === null || worse === null ? null : better - worse,
      mean: saved('mean_ms'),
      p50: saved('p50_ms'),
      p95: saved('p95_ms'),
      p99: saved('p99_ms'),
    },
  };
}

/** Each by its name; two that have the same name are one. Those that served nobody are left out. */
function executionTypes({ total, executionTypes: names }: SummaryFacts): Record<string, GroupSummary> {
  const groups = new Map<string, Group>();
  const add = (name: string, group: Group) => {
    if (group.count > 0) groups.set(name, (groups.get(name) ?? new Group()).merge(group));
  };
  if (total === undefined) return {};
  for (const arm of ['treatment', 'control'] as const) {
    const { fallbacks, userSuccesses, successes } = total.arms[arm];
    const rescued = userSuccesses - successes;
    const own = groupOf(total.arms[arm]);
    // The arm's failure, which the fallback made its own.
    own.count -= fallbacks;
    own.failures -= fallbacks;
    add(names[arm], own);
    const fallback = new Group();
    fallback.count = fallbacks;
    fallback.successes = rescued;
    fallback.failures = fallbacks - rescued;
    add(names.fallback, fallback);
  }
  return Object.fromEntries(Array.from(groups, ([name, group]) => [name, group.summary()]));
}

/** Counts of one group. */
class Group {
  count = 0;
  successes = 0;
  failures = 0;
  readonly latency = new LatencyHistogram();

  merge(other: Group): this {
    this.count += other.count;
    this.successes += other.successes;
    this.failures += other.failures;
    this.latency.merge(other.latency);
    return this;
  }

  summary(): GroupSummary {
    const { count, successes, failures, latency } = this;
    const trials = successes + failures;
    return {
      count,
      successes,
      failures,
      success_rate: trials === 0 ? null : successes / trials,
      mean_ms: latency.meanMs ?? null,
      p50_ms: latency.quantile(0.5) ?? null,
      p95_ms: latency.quantile(0.95) ?? null,
      p99_ms: latency.quantile(0.99) ?? null,
    };
  }
}

function groupOf(arm: RollupArm | undefined): Group {
  const group = new Group();
  if (arm === undefined) return group;
  const { successes, failures, expected, aborted, latency } = arm;
  group.count = successes + failures + expected + aborted;
  group.successes = successes;
  group.failures = failures;
  group.latency.addSparse(latency);
  return group;
}

function savedShare(treatment: number | null, control: number | null): number | null {
  return treatment === null || control === null || control === 0 ? null : (control - treatment) / control;
}

function isoTime(at: number | undefined): string | null {
  return at === undefined ? null : new Date(Math.floor(at)).toISOString();
}
