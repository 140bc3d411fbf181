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
  /** The provider's: `chance` and `contextId`, when chance decided the value. */
  readonly flagMetadata?: Readonly<Record<string, string | number | boolean>> | undefined;
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
  /**
   * The probability with which the flag's strategies put this unit into the treatment: a fraction between 0 and 1.
   * Undefined when chance did not decide, or its share is unknown.
   */
  readonly chance?: number | undefined;
  /** The value that was drawn by, such as a user, session or tenant; undefined: each evaluation is a unit of its own. */
  readonly unit?: string | undefined;
  /** The hash of the unit, where the unit itself is not known: of an exposure that was read from a log. */
  readonly unitHash?: number | undefined;
  /** An operation completes it; otherwise `track()` may. */
  readonly isOperation?: boolean | undefined;
  /** Its number in the store that awaits its outcome, which sets it. */
  sequence?: number | undefined;
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
  /** By the time of their exposure, so that arms of different speed compare: what has settled. */
  readonly settled: SettledCounts;
  /** Distinct units of the treatment within the window; counted up to 8. */
  readonly units: number;
  /** This process's memory within the window; undefined before the first sample. */
  readonly memory: MemorySnapshot | undefined;
}

/**
 * Outcomes by the time of their exposure. An exposure has settled when every earlier one has, and it has ended or has been open for the
 * settling time; still open is a failure then.
 */
export interface SettledCounts {
  readonly treatment: Trials;
  readonly control: Trials;
  /** Of the treatment's trials, those whose chance is known. */
  readonly randomised: number;
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

/** Trials of both arms since a moment. */
export interface TrialsSince {
  /** Milliseconds since 1970; undefined for "from the start". */
  readonly at?: number | undefined;
  readonly counts: Readonly<Record<Arm, Trials>>;
}

/**
 * What a sequential test has gathered for one trigger since the rollout began, through all percentages. Logarithms are natural: E
 * itself may be larger than a number can be.
 */
export interface Evidence {
  /** The trigger that needs it. */
  readonly trigger: string;
  /** Now. */
  readonly logE: number;
  /** The largest log E so far. */
  readonly peakLogE: number;
  readonly logThreshold: number;
  /** E has reached its threshold, and the difference since the harm began is large enough, in this epoch. */
  readonly breached: boolean;
  /** Outcomes since the rollout began, and those with the event (for latency: slower than the limit). */
  readonly counts: Readonly<Record<Arm, Trials>>;
  /** Outcomes of units without an event before, since the harm most likely began. */
  readonly since: TrialsSince;
  /** Set while no control runs beside the treatment, which is then compared with the control as it was. */
  readonly frozen?: FrozenControl | undefined;
  /** For a limit: the same test by outcomes, where `logE` and `breached` are by units, each of which speaks until its first failure. */
  readonly byOutcomes?: Pick<Evidence, 'logE' | 'breached' | 'since'> | undefined;
  /** For latency only, by quantile; empty until the control has enough durations. */
  readonly quantiles?: readonly QuantileEvidence[] | undefined;
  /** For the sample ratio only. */
  readonly assignment?: Assignment | undefined;
  /** Units whose first event the test rests on. */
  readonly events: number;
  /** How often the test has begun anew because most outcomes came from units with an event; from 1. */
  readonly generation: number;
  /** Outcomes that were left out because chance did not decide their arm, or the chance is unknown. */
  readonly excluded: number;
  /** Events that were left out because their unit had one before. */
  readonly repeated: number;
  /** Durations among the outcomes that were NaN, infinite or negative. */
  readonly invalid: number;
}

/** The control when it ended. */
export interface FrozenControl {
  readonly counts: Trials;
  /** When it ended, milliseconds since 1970. */
  readonly at: number;
  /** The rate that is tolerated at most: an upper bound of the control's, times the tolerated ratio. 1 or more: too few outcomes. */
  readonly maxRate: number;
}

/** How units were put into the arms. */
export interface Assignment {
  /** Distinct units that were seen, or a sample of them, chosen by hash. */
  readonly units: number;
  /** Of these, those in the treatment. */
  readonly treatment: number;
  /** The treatment's units that their chances let expect. */
  readonly expected: number;
  /** Units seen since the percentage last changed. */
  readonly epochUnits: number;
  /** Of these, those that were seen in both arms. */
  readonly inBothArms: number;
}

/**
 * Whether failures are the treatment's fault: the evidence of the event test for first failures, with an odds ratio of 1, which
 * every store keeps.
 */
export interface Blame {
  readonly logE: number;
  /** From here on a broken limit is the treatment's fault: `10·g(g + 1)` in generation g. */
  readonly logThreshold: number;
}

/** The durations of successes, compared at one quantile of the control's. */
export interface QuantileEvidence {
  /** A fraction: 0.9 is the p90. */
  readonly quantile: number;
  readonly logE: number;
  readonly breached: boolean;
  /** The control's, as fixed last; slower successes of the control are its "failures". */
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
  /** Whether failures are the treatment's fault. */
  readonly blame: Blame;
  /** The last 20 counted outcomes of the treatment, at most a day old: what a window is too short for at a low rate. */
  readonly recent: RecentOutcomes;
  /** Failing units and a sample of other outcomes, with what the application said of them. Computed when it is first read. */
  readonly details?: OutcomeDetails | undefined;
  /** What was normal at an earlier time; undefined without a record of it. */
  readonly baseline?: Baseline | undefined;
  /** What triggers read elsewhere; one entry for each that has been read. */
  readonly signals?: readonly SignalValue[] | undefined;
}

/** The latest counted outcomes of the treatment. */
export interface RecentOutcomes extends Trials {
  /** When the oldest of them ended; undefined when there is none. */
  readonly since: number | undefined;
}

/** What the application said of one outcome. */
export interface OutcomeDetail {
  readonly at: number;
  readonly arm: Arm;
  /** Undefined for an outcome that is no failure. */
  readonly errorType?: string | undefined;
  readonly attributes?: Attributes | undefined;
}

/** Bounded lists, newest last. */
export interface OutcomeDetails {
  /** First failures of units. */
  readonly failures: readonly OutcomeDetail[];
  /** A sample of the outcomes that are no failures. */
  readonly others: readonly OutcomeDetail[];
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

const verdictEvidenceSchema = z
  .object({
    /** How many times better the data fit a regression than none, now. Capped at 10³⁰⁰. */
    e: z.number(),
    /** E at which the test breaches: 1/alpha, more after the test has begun anew. */
    threshold: z.number(),
    alpha: z.number(),
    /** When the harm most likely began; absent for "at the start of the rollout". */
    since: z.number().optional(),
    /** Outcomes since then, and those with the event. */
    treatment: trialsSchema,
    control: trialsSchema,
    /** What counts once: the unit that was drawn, or each outcome. */
    basis: z.enum(['units', 'outcomes']),
    /** Units whose first event the test rests on. */
    events: count,
    /** When the control ended with which the treatment is compared; absent while one runs beside it. */
    frozenAt: z.number().optional(),
    excluded: count,
    repeated: count,
    invalid: count,
  })
  .readonly();

/** The figures behind the verdict of a sequential test. */
export interface VerdictEvidence extends z.infer<typeof verdictEvidenceSchema> {}

const shareSchema = z.object({ count, of: count }).readonly();

const concentrationSchema = z
  .object({
    /** `errorType`, or the name of an attribute that the application passed. */
    attribute: z.string(),
    /** Its value, or a range of numbers. */
    value: z.string(),
    /** Of each arm's failing units, those with the value. */
    treatment: shareSchema,
    control: shareSchema,
    /** Of a sample of the outcomes that did not fail. */
    others: shareSchema,
  })
  .readonly();

/** A value that is more frequent among failing units of the treatment than elsewhere. */
export interface Concentration extends z.infer<typeof concentrationSchema> {}

/** All of {@link Verdict.blame}. */
export const BLAMES = ['treatment', 'shared', 'unproven'] as const;

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
    /**
     * For a broken limit: whose fault it is. `shared`: the control breaks it in the same minutes too, and the treatment is not worse by more
     * than chance; this opens a review. `unproven`: not yet decided.
     */
    blame: z.enum(BLAMES).optional(),
    /** The figures behind a sequential test; undefined for point rules. */
    evidence: verdictEvidenceSchema.optional(),
    /** Where the treatment fails. Only with a breach. */
    failing: z.array(concentrationSchema).readonly().optional(),
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
