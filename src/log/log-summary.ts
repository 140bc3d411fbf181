import { z } from 'zod';
import { LatencyHistogram, sparseHistogramSchema } from '../measure/latency-histogram.js';
import type { OutcomeRow } from './log-row-schema.js';

/** One group of outcomes in `summary.json`. */
interface GroupSummary {
  /** All outcomes, `expected` and `aborted` included. */
  readonly count: number;
  readonly successes: number;
  readonly failures: number;
  /** Of successes and failures, the fraction that succeeded; null while there is neither. */
  readonly success_rate: number | null;
  /** Of the successes' durations, in milliseconds; null before the first. Quantiles are within 1 %. */
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

/** The whole rollout so far in one small file, over all epochs and restarts. */
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

/** Outcomes that were counted, by group, as they are on disk. */
type SummaryState = z.infer<typeof summaryStateSchema>;

/** More names than an application needs; bounds the summary when the option changes. */
const MAX_GROUPS = 20;

const group = z.object({
  count: z.int().min(0),
  successes: z.int().min(0),
  failures: z.int().min(0),
  latency: sparseHistogramSchema,
});

/** Checks what a file contains. */
export const summaryStateSchema = z.object({
  firstOutcomeAt: z.string().nullable(),
  lastOutcomeAt: z.string().nullable(),
  epoch: z.int().nullable(),
  percentage: z.number().nullable(),
  treatment: group,
  control: group,
  executionTypes: z.array(z.tuple([z.string(), group])).max(MAX_GROUPS),
});

/** Adds outcomes up for `summary.json`. */
export class SummaryTotals {
  readonly #treatment: Group;
  readonly #control: Group;
  readonly #executionTypes: Map<string, Group>;
  /** Taken from the first and the latest outcomes. */
  readonly #span: Pick<SummaryState, 'firstOutcomeAt' | 'lastOutcomeAt' | 'epoch' | 'percentage'>;

  /** @param earlier - The counts of an earlier run. */
  constructor(earlier?: SummaryState) {
    const { firstOutcomeAt = null, lastOutcomeAt = null, epoch = null, percentage = null } = earlier ?? {};
    this.#span = { firstOutcomeAt, lastOutcomeAt, epoch, percentage };
    this.#treatment = new Group(earlier?.treatment);
    this.#control = new Group(earlier?.control);
    this.#executionTypes = new Map(
      earlier?.executionTypes.map(([name, counted]) => [name, new Group(counted)]),
    );
  }

  add(row: OutcomeRow): void {
    const { timestamp, result, user_succeeded, duration_ms } = row;
    this.#span.firstOutcomeAt ??= timestamp;
    this.#span.lastOutcomeAt = timestamp;
    this.#span.epoch = row.epoch;
    this.#span.percentage = row.percentage;
    (row.arm === 'treatment' ? this.#treatment : this.#control).add(result, duration_ms);
    const served = row.fallback_used && user_succeeded ? 'success' : result;
    this.#executionType(row.execution_type)?.add(served, duration_ms);
  }

  /** `summary.json` as of `updatedAt` (milliseconds since 1970). */
  summary(flagKey: string, updatedAt: number, droppedLines: number): Summary {
    const treatment = this.#treatment.summary();
    const control = this.#control.summary();
    const total = new Group(this.#treatment.state());
    total.merge(this.#control.state());
    return {
      version: 1,
      flag_key: flagKey,
      updated_at: new Date(updatedAt).toISOString(),
      first_outcome_at: this.#span.firstOutcomeAt,
      last_outcome_at: this.#span.lastOutcomeAt,
      epoch: this.#span.epoch,
      percentage: this.#span.percentage,
      dropped_lines: droppedLines,
      total: total.summary(),
      arms: { treatment, control },
      execution_types: Object.fromEntries(
        Array.from(this.#executionTypes, ([name, counted]) => [name, counted.summary()]),
      ),
      treatment_against_control: {
        success_rate:
          treatment.success_rate === null || control.success_rate === null
            ? null
            : treatment.success_rate - control.success_rate,
        mean: savedShare(treatment.mean_ms, control.mean_ms),
        p50: savedShare(treatment.p50_ms, control.p50_ms),
        p95: savedShare(treatment.p95_ms, control.p95_ms),
        p99: savedShare(treatment.p99_ms, control.p99_ms),
      },
    };
  }

  /** Everything, for the next run. */
  state(): SummaryState {
    return {
      ...this.#span,
      treatment: this.#treatment.state(),
      control: this.#control.state(),
      executionTypes: Array.from(this.#executionTypes, ([name, counted]) => [name, counted.state()]),
    };
  }

  #executionType(name: string): Group | undefined {
    const known = this.#executionTypes.get(name);
    if (known !== undefined || this.#executionTypes.size === MAX_GROUPS) return known;
    const made = new Group();
    this.#executionTypes.set(name, made);
    return made;
  }
}

/** Counts of one group. */
class Group {
  #count = 0;
  #successes = 0;
  #failures = 0;
  readonly #latency = new LatencyHistogram();

  constructor(earlier?: z.infer<typeof group>) {
    if (earlier !== undefined) this.merge(earlier);
  }

  add(result: OutcomeRow['result'], durationMs: number | null): void {
    this.#count += 1;
    if (result === 'failure') this.#failures += 1;
    if (result !== 'success') return;
    this.#successes += 1;
    // Invalid durations are not recorded.
    if (durationMs !== null) this.#latency.record(durationMs);
  }

  merge({ count, successes, failures, latency }: z.infer<typeof group>): void {
    this.#count += count;
    this.#successes += successes;
    this.#failures += failures;
    this.#latency.addSparse(latency);
  }

  summary(): GroupSummary {
    const counted = this.#successes + this.#failures;
    return {
      count: this.#count,
      successes: this.#successes,
      failures: this.#failures,
      success_rate: counted === 0 ? null : this.#successes / counted,
      mean_ms: this.#latency.meanMs ?? null,
      p50_ms: this.#latency.quantile(0.5) ?? null,
      p95_ms: this.#latency.quantile(0.95) ?? null,
      p99_ms: this.#latency.quantile(0.99) ?? null,
    };
  }

  state(): z.infer<typeof group> {
    return {
      count: this.#count,
      successes: this.#successes,
      failures: this.#failures,
      latency: this.#latency.toSparse(),
    };
  }
}

function savedShare(treatment: number | null, control: number | null): number | null {
  return treatment === null || control === null || control === 0 ? null : (control - treatment) / control;
}
