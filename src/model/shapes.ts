import { z } from 'zod';
import type { Baseline, LatencySummary } from './baseline.js';

/**
 * The five shapes that travel through the guard, in the order in which they are made:
 * `Exposure` → `Outcome` → `Snapshot` → `Verdict` → `Decision`.
 *
 * What leaves the process (to disk, to Redis) is a zod schema here, and its type is inferred from it; what stays in the
 * process is an interface. Times (`at`, `…At`) are milliseconds since 1970. Percentages are 0–100, rates are fractions 0–1.
 */

/** Both arms, for loops. */
export const ARMS = ['treatment', 'control'] as const;

/** `treatment`: the flag was on for this evaluation. `control`: it was off. */
export type Arm = (typeof ARMS)[number];

/** The same of each arm. */
const perArm = <S extends z.ZodType>(schema: S) =>
  z.object({ treatment: schema, control: schema }).readonly();

// ── 1. Exposure ──────────────────────────────────────────────────────────────────────────────────

/** What OpenFeature answered for one evaluation; OpenFeature's `EvaluationDetails` fits. */
export interface Evaluation {
  readonly value: unknown;
  readonly variant?: string | undefined;
  readonly reason?: string | undefined;
  readonly errorCode?: string | undefined;
}

/** One evaluation of the guarded flag, captured by the hook. An operation or `track()` completes it. */
export interface Exposure {
  readonly flagKey: string;
  readonly arm: Arm;
  readonly variant: string | undefined;
  /** OpenFeature's reason. Only `SPLIT` means that chance decided the arm. */
  readonly reason: string | undefined;
  readonly errorCode: string | undefined;
  readonly targetingKey: string | undefined;
  /** The guard's epoch in which the flag was evaluated. */
  readonly epoch: number;
  readonly at: number;
}

// ── 2. Outcome ───────────────────────────────────────────────────────────────────────────────────

/** How the arm's own code ended. `expected` (the user's own mistake) and `aborted` (by the caller) count for no rate. */
export type Result = 'success' | 'failure' | 'expected' | 'aborted';

export const attributesSchema = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
  .readonly();

/** Values that may travel with an outcome into logs. */
export type Attributes = z.infer<typeof attributesSchema>;

/** How one operation ended. */
export interface Outcome {
  readonly exposure: Exposure;
  readonly result: Result;
  /** What the user waited, in milliseconds: retries and fallback included. Undefined when it was not measured. */
  readonly durationMs: number | undefined;
  /** A class or code such as `TimeoutError` or `ECONNRESET`; never a message. */
  readonly errorType: string | undefined;
  /** An error after which the process itself is in doubt: out of memory, disk, file handles. */
  readonly critical: boolean;
  /** The treatment failed and the control then ran for the user. `result` stays the treatment's. */
  readonly fallbackUsed: boolean;
  /** Whether the operation succeeded for the user, by whichever arm. */
  readonly userSucceeded: boolean;
  /** Attempts of the arm's code, 1 when nothing was retried. */
  readonly attempts: number;
  readonly attributes: Attributes | undefined;
  /** When it ended. */
  readonly at: number;
}

// ── 3. Snapshot ──────────────────────────────────────────────────────────────────────────────────

const count = z.number().min(0);

const armCountsSchema = z
  .object({
    successes: count,
    failures: count,
    expected: count,
    aborted: count,
    critical: count,
    fallbacks: count,
    /** Successes that needed more than one attempt. */
    retried: count,
    /** Complaints of users who got this arm, counted when they complained. */
    complaints: count,
  })
  .readonly();

/** Counts of one arm. Triggers evaluate `successes + failures`. */
export interface ArmCounts extends z.infer<typeof armCountsSchema> {}

/** Exposures of one arm that are old enough to have an outcome. */
export interface ExposureCounts {
  /** Older than the guard's `outcomeTimeoutMs`. */
  readonly due: number;
  /** Of these, those without an outcome: their code hangs, was never run, or does not report. */
  readonly unreported: number;
}

/** What happened within one sliding window that ends at the snapshot. */
export interface WindowSnapshot {
  readonly windowMs: number;
  readonly treatment: ArmCounts;
  readonly control: ArmCounts;
  /** The exposures that became due within the window. */
  readonly exposures: Readonly<Record<Arm, ExposureCounts>>;
  /** This process's memory within the window; undefined before the first sample. */
  readonly memory: MemorySnapshot | undefined;
}

/** Memory within a window. Its lowest sample distinguishes growth from a peak before garbage collection. */
export interface MemorySnapshot {
  /** Undefined until a baseline has been measured. */
  readonly baselineBytes: number | undefined;
  readonly lowestBytes: number;
  /** The time that the samples span, in milliseconds. */
  readonly spanMs: number;
}

/** One arm since the epoch began. */
export interface ArmTotals extends ArmCounts {
  /** Undefined before the first success. */
  readonly latency: LatencySummary | undefined;
  /** Failures by error type, most frequent first, bounded; the rest is under `other`. */
  readonly errorTypes: readonly { readonly errorType: string; readonly count: number }[];
  readonly lastOutcomeAt: number | undefined;
}

const trialsSchema = z.object({ trials: count, failures: count }).readonly();

/** Trials of one arm and how many of them failed. */
export interface Trials extends z.infer<typeof trialsSchema> {}

/**
 * What a sequential test has gathered for one trigger since the epoch began. Logarithms are natural: E itself may be
 * larger than a number can be.
 */
export interface Evidence {
  /** The trigger that needs it. */
  readonly trigger: string;
  readonly logE: number;
  /** The largest log E so far; it decides about a breach. */
  readonly peakLogE: number;
  readonly logThreshold: number;
  /** Whether E has ever reached its threshold in this epoch. */
  readonly breached: boolean;
  /** What was compared; for latency, at the quantile with the most evidence, where slow successes are the failures. */
  readonly counts: Readonly<Record<Arm, Trials>>;
  /**
   * Set when no control remains and the treatment is compared with the control of an earlier epoch, whose counts these
   * are: the failure rate that is tolerated at most.
   */
  readonly frozenLimit?: number | undefined;
  /** For latency only, by quantile; empty until the control has enough durations. */
  readonly quantiles?: readonly QuantileEvidence[] | undefined;
  /** Counted outcomes that were left out because chance did not decide their arm. */
  readonly excluded: number;
  /** Counted outcomes that were left out because their targeting key had counted already. */
  readonly repeated: number;
  /** Durations among the counted outcomes that were NaN, infinite or negative. */
  readonly invalid: number;
}

/** The durations of successes, compared at one quantile of the control's. */
export interface QuantileEvidence {
  /** A fraction: 0.9 is the p90. */
  readonly quantile: number;
  readonly logE: number;
  /** The control's, fixed before the open block began; slower successes of the control are its "failures". */
  readonly controlMs: number;
  /** What the treatment's successes are compared with: the tolerated ratio times `controlMs`. */
  readonly limitMs: number;
  /** The treatment's own quantile, for display. */
  readonly treatmentMs: number | undefined;
  readonly counts: Readonly<Record<Arm, Trials>>;
}

/** Everything that triggers evaluate. Plain data: it can be logged, replayed and sent. */
export interface Snapshot {
  readonly flagKey: string;
  readonly at: number;
  readonly epoch: number;
  readonly epochStartedAt: number;
  /** One entry for each window length that a trigger needs, ascending. */
  readonly windows: readonly WindowSnapshot[];
  /** The current epoch as a whole. */
  readonly total: Readonly<Record<Arm, ArmTotals>>;
  /** The latest critical error of the treatment within the longest window. */
  readonly lastCritical: { readonly errorType: string; readonly at: number } | undefined;
  /** Durations that were NaN, infinite or negative, since the epoch began: counted, never folded in. */
  readonly invalidDurations: number;
  /** One entry for each trigger that needs evidence. */
  readonly evidence?: readonly Evidence[] | undefined;
  /** What was normal at an earlier time; undefined without a record of it. */
  readonly baseline?: Baseline | undefined;
  /** What triggers read elsewhere; one entry for each that has been read. */
  readonly signals?: readonly SignalValue[] | undefined;
}

/** What was read last for one trigger, outside of the guard. */
export interface SignalValue {
  readonly trigger: string;
  /** The latest number, and when it was true; undefined before the first. It stays when a later read gives none. */
  readonly reading: { readonly value: number; readonly at: number } | undefined;
  /** Why the last read gave no number; undefined when it gave one. */
  readonly problem: string | undefined;
}

// ── 4. Verdict ───────────────────────────────────────────────────────────────────────────────────

/**
 * What `observed` and `threshold` of a verdict are: a `fraction` 0–1, a `ratio` to a reference (1.2 is 20 % more), milliseconds,
 * a `count` of things, bytes, or `none` for a number whose unit is not known, such as a signal's.
 */
export const UNITS = ['fraction', 'ratio', 'ms', 'count', 'bytes', 'none'] as const;

/** One of {@link UNITS}. */
export type Unit = (typeof UNITS)[number];

const differenceEvidenceSchema = z
  .object({
    observed: z.number(),
    lower: z.number(),
    upper: z.number(),
    /** The chance that the interval is right at every moment of the epoch, for example 0.95. */
    confidence: z.number(),
  })
  .readonly();

/** A difference of two rates; fractions. */
export interface DifferenceEvidence extends z.infer<typeof differenceEvidenceSchema> {}

const verdictEvidenceSchema = z
  .object({
    /** The largest E of the epoch: how many times better the data fit a regression than none. Capped at 10³⁰⁰. */
    e: z.number(),
    /** E at which the test breaches: 1/alpha. */
    threshold: z.number(),
    alpha: z.number(),
    treatment: trialsSchema,
    control: trialsSchema,
    /** Of the failure rates, treatment minus control, with an interval that is valid at any time. Only with a breach: it is costly. */
    difference: differenceEvidenceSchema.optional(),
    excluded: count,
    repeated: count,
    invalid: count,
  })
  .readonly();

/** The figures behind the verdict of a sequential test. */
export interface VerdictEvidence extends z.infer<typeof verdictEvidenceSchema> {}

export const verdictSchema = z
  .object({
    /** The trigger's name, for example `success-rate-below`. */
    trigger: z.string(),
    status: z.enum(['ok', 'insufficient-data', 'breach']),
    /** The value that was compared; undefined while there is not enough data. */
    observed: z.number().optional(),
    threshold: z.number(),
    /** Of `observed` and `threshold`. */
    unit: z.enum(UNITS),
    /** Which rate of the treatment's outcomes was compared; absent for a rule on anything else. */
    rate: z.enum(['success', 'error']).optional(),
    sampleSize: perArm(count),
    /** The time that was evaluated: the sliding window, or all of the epoch so far; 0 for a signal. */
    windowMs: z.number(),
    /** Age of the newest outcome of the treatment, or of a signal's reading, in milliseconds; undefined when there is none. */
    freshnessMs: z.number().optional(),
    /** One sentence for an operator. */
    message: z.string(),
    /** The figures behind a sequential test; undefined for point rules. */
    evidence: verdictEvidenceSchema.optional(),
  })
  .readonly();

/** The result of one trigger for one snapshot. */
export interface Verdict extends z.infer<typeof verdictSchema> {}

// ── 5. Decision ──────────────────────────────────────────────────────────────────────────────────

export const decisionSchema = z
  .object({
    id: z.string(),
    flagKey: z.string(),
    /** `stop`: off in Unleash. `step-back`: back to the percentage of the stage before, or off where that fails. */
    action: z.enum(['stop', 'step-back']),
    /** Where a `step-back` leads, 0–100. */
    toPercentage: z.number().optional(),
    dryRun: z.boolean(),
    at: z.number(),
    epoch: z.number(),
    /** What Unleash showed when the decision fell; undefined when the strategy has no percentage. */
    rolloutPercentage: z.number().optional(),
    /**
     * The flag's newest *on* or *off* in Unleash's history when it was decided, by the event's id (0: none). An *on* after it
     * begins another rollout. Undefined when the history could not be read.
     */
    lastToggleId: z.int().optional(),
    /** The verdicts that breached. Never empty. */
    verdicts: z.array(verdictSchema).readonly(),
    /** Cumulative counts of the epoch at the moment of the decision. */
    counts: perArm(armCountsSchema),
    /** One sentence for an operator. */
    reason: z.string(),
  })
  .readonly();

/** Why the guard stopped (or, in a dry run, would have stopped) a flag. */
export interface Decision extends z.infer<typeof decisionSchema> {}
