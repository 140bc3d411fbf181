import { z } from 'zod';

/**
 * The five shapes that travel through the guard, in the order in which they are made:
 * `Exposure` → `Outcome` → `Snapshot` → `Verdict` → `Decision`.
 *
 * What leaves the process (to disk, to Redis) is a zod schema here, and its type is inferred from it; what stays in the
 * process is an interface. Times (`at`, `…At`) are milliseconds since 1970. Percentages are 0–100, rates are fractions 0–1.
 */

/** Both arms, for loops. */
export const ARMS = ['treatment', 'control'] as const;

/** `treatment`: the flag was on for this evaluation. `control`: it was off. @useDeclaredType */
export type Arm = (typeof ARMS)[number];

/** The same of each arm. */
export const perArm = <S extends z.ZodType>(schema: S) =>
  z.object({ treatment: schema, control: schema }).readonly();

// ── 1. Exposure ──────────────────────────────────────────────────────────────────────────────────

/** What OpenFeature answered for one evaluation; OpenFeature's `EvaluationDetails` fits. */
export interface Evaluation {
  /** The flag's value. */
  readonly value: unknown;
  /** The name of the variant, if there is one. */
  readonly variant?: string | undefined;
  /** Why it has this value, for example `SPLIT`, `TARGETING_MATCH` or `ERROR`. */
  readonly reason?: string | undefined;
  /** OpenFeature's code, when the default was answered because of an error. */
  readonly errorCode?: string | undefined;
  /** The provider's: `chance` and `contextId`, when chance decided the value. */
  readonly flagMetadata?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/**
 * What of an outcome is evidence. `all`; `events`: whether it failed and the like, but it is part of no sample, such as that of
 * durations; `none`: it counts in numbers only, as it stands for one that was not written.
 */
export type EvidenceShare = 'all' | 'events' | 'none';

/** One evaluation of the guarded flag, captured by the hook. An operation or `track()` completes it. */
export interface Exposure {
  /** The guarded flag. */
  readonly flagKey: string;
  /** The arm that the user got. */
  readonly arm: Arm;
  /** The name of the variant: `on` or `off` for a flag without any; undefined when the provider names none. */
  readonly variant: string | undefined;
  /** OpenFeature's reason. Only `SPLIT` means that chance decided the arm. */
  readonly reason: string | undefined;
  /** OpenFeature's code, when the evaluation failed and its default was answered. */
  readonly errorCode: string | undefined;
  /** Whom the evaluation was for; undefined when the context has none. */
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
  /** Of an exposure that was read from a log which has a sample. @default 'all' */
  readonly evidence?: EvidenceShare | undefined;
  /** An operation completes it; otherwise `track()` may. */
  readonly isOperation?: boolean | undefined;
  /** Its number in the store that awaits its outcome, which sets it. */
  sequence?: number | undefined;
  /** The guard's epoch in which the flag was evaluated. */
  readonly epoch: number;
  /** When the flag was evaluated, milliseconds since 1970. */
  readonly at: number;
}

// ── 2. Outcome ───────────────────────────────────────────────────────────────────────────────────

/** How the arm's own code ended. `expected` (the user's own mistake) and `aborted` (by the caller) count for no rate. */
export type Result = 'success' | 'failure' | 'expected' | 'aborted';

export const attributesSchema = z.lazy(() =>
  z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).readonly(),
);

/** Values that may travel with an outcome into logs. @useDeclaredType */
export type Attributes = z.infer<typeof attributesSchema>;

/** How one operation ended. */
export interface Outcome {
  /** The evaluation that it belongs to. */
  readonly exposure: Exposure;
  /** How the arm's own code ended. */
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
  /** Values that the application adds, for logs and for where a failure is concentrated. */
  readonly attributes: Attributes | undefined;
  /** When it ended. */
  readonly at: number;
}

// ── 3. Snapshot: `snapshot.ts` ───────────────────────────────────────────────────────────────────

const count = z.number().min(0);

export const armCountsSchema = z
  .object({
    /** Outcomes that succeeded. */
    successes: count,
    /** Outcomes that failed, also where the control then served the user. */
    failures: count,
    /** Outcomes that were the user's own mistake; part of no rate. */
    expected: count,
    /** Outcomes that the caller aborted; part of no rate. */
    aborted: count,
    /** Of the failures, those after which the process itself is in doubt. */
    critical: count,
    /** Of the failures, those after which the control served the user. */
    fallbacks: count,
    /** Successes that needed more than one attempt. */
    retried: count,
    /** Complaints of users who got this arm, counted when they complained. */
    complaints: count,
  })
  .readonly();

/** Counts of one arm. Triggers evaluate `successes + failures`. */
export interface ArmCounts extends z.infer<typeof armCountsSchema> {}

/** The counts of an arm in which nothing happened. */
export const NO_COUNTS: ArmCounts = {
  successes: 0,
  failures: 0,
  expected: 0,
  aborted: 0,
  critical: 0,
  fallbacks: 0,
  retried: 0,
  complaints: 0,
};

/** The counts alone, of what has more than these. */
export function countsOf(counts: ArmCounts): ArmCounts {
  const { successes, failures, expected, aborted, critical, fallbacks, retried, complaints } = counts;
  return { successes, failures, expected, aborted, critical, fallbacks, retried, complaints };
}

const trialsSchema = z
  .object({
    /** How many were counted. */
    trials: count,
    /** Of these, those that failed, or with the event that is compared. */
    failures: count,
  })
  .readonly();

/** Trials of one arm and how many of them failed. */
export interface Trials extends z.infer<typeof trialsSchema> {}

// ── 4. Verdict ───────────────────────────────────────────────────────────────────────────────────

/** All of {@link Unit}. */
export const UNITS = ['fraction', 'ratio', 'ms', 'count', 'bytes', 'none'] as const;

/**
 * What `observed` and `threshold` of a verdict are: a `fraction` 0–1, a `ratio` to a reference (1.2 is 20 % more), milliseconds,
 * a `count` of things, bytes, or `none` for a number whose unit is not known, such as a signal's.
 *
 * @useDeclaredType
 */
export type Unit = (typeof UNITS)[number];

const verdictEvidenceSchema = z.lazy(() =>
  z
    .object({
      /** How many times better the data fit a regression than none, now. Capped at 10³⁰⁰. */
      e: z.number(),
      /** E at which the test breaches: 1/alpha, more after the test has begun anew. */
      threshold: z.number(),
      /** The chance that the test ever breaches in a healthy rollout, of this trigger alone. */
      alpha: z.number(),
      /** When the harm most likely began; absent for "at the start of the rollout". */
      since: z.number().optional(),
      /** Outcomes since then, and those with the event. */
      treatment: trialsSchema,
      /** The control's outcomes since then, and those with the event. */
      control: trialsSchema,
      /** What counts once: the unit that was drawn, or each outcome. */
      basis: z.enum(['units', 'outcomes']),
      /** Units whose first event the test rests on. */
      events: count,
      /** When the control ended with which the treatment is compared; absent while one runs beside it. */
      frozenAt: z.number().optional(),
      /** Outcomes that were left out because chance did not decide their arm, or the chance is unknown. */
      excluded: count,
      /** Events that were left out because their unit had one before. */
      repeated: count,
      /** Durations or values that were no number, infinite or out of range, and were left out. */
      invalid: count,
    })
    .readonly(),
);

/** The figures behind the verdict of a sequential test. */
export interface VerdictEvidence extends z.infer<typeof verdictEvidenceSchema> {}

const shareSchema = z.object({ count, of: count }).readonly();

export const concentrationSchema = z.lazy(() =>
  z
    .object({
      /** `errorType`, or the name of an attribute that the application passed. */
      attribute: z.string(),
      /** Its value, or a range of numbers. */
      value: z.string(),
      /** Of each arm's failing units, those with the value. */
      treatment: shareSchema,
      /** Of the control's failing units, those with the value. */
      control: shareSchema,
      /** Of a sample of the outcomes that did not fail. */
      others: shareSchema,
    })
    .readonly(),
);

/** A value that is more frequent among failing units of the treatment than elsewhere. */
export interface Concentration extends z.infer<typeof concentrationSchema> {}

/** All of {@link Verdict.blame}. */
const BLAMES = ['treatment', 'shared', 'unproven'] as const;

export const verdictSchema = z.lazy(() =>
  z
    .object({
      /** The trigger's name, for example `success-rate-below`. */
      trigger: z.string(),
      /** `breach`: beyond the threshold. `insufficient-data`: nothing can be said yet. */
      status: z.enum(['ok', 'insufficient-data', 'breach']),
      /** The value that was compared; undefined while there is not enough data. */
      observed: z.number().optional(),
      /** What `observed` is compared with. */
      threshold: z.number(),
      /** Of `observed` and `threshold`. */
      unit: z.enum(UNITS),
      /** Which rate of the treatment's outcomes was compared; absent for a rule on anything else. */
      rate: z.enum(['success', 'error']).optional(),
      /** How many outcomes of each arm were evaluated. */
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
      /** A rollback trigger's breach that stops nothing, and opens a review. */
      opens: z.literal('review').optional(),
      /** The trigger only says what it would have done: a breach stops nothing and opens no review. */
      dryRun: z.literal(true).optional(),
      /** The figures behind a sequential test; undefined for point rules. */
      evidence: verdictEvidenceSchema.optional(),
      /** Where the treatment fails. Only with a breach. */
      failing: z.array(concentrationSchema).readonly().optional(),
    })
    .readonly(),
);

/** The result of one trigger for one snapshot. */
export interface Verdict extends z.infer<typeof verdictSchema> {}

/** How many failures have one error type. */
export const errorTypeCountSchema = z.lazy(() => z.object({ errorType: z.string(), count }).readonly());

// ── 5. Decision ──────────────────────────────────────────────────────────────────────────────────

export const decisionSchema = z.lazy(() =>
  z
    .object({
      /** Its identity in the journal, the audit log, notifications and the report. */
      id: z.string(),
      /** The flag, as it is named in Unleash. */
      flagKey: z.string(),
      /** `stop`: off in Unleash. `step-back`: back to the percentage of the stage before, or off where that fails. */
      action: z.enum(['stop', 'step-back']),
      /** Where a `step-back` leads, 0–100. */
      toPercentage: z.number().optional(),
      /** It was recorded, and not acted on: the guard is in dry run, or each rule that breached. */
      dryRun: z.boolean(),
      /** When it fell, milliseconds since 1970. */
      at: z.number(),
      /** The epoch in which it fell. */
      epoch: z.number(),
      /** What Unleash showed when the decision fell; undefined when the strategy has no percentage. */
      rolloutPercentage: z.number().optional(),
      /**
       * The flag's newest *on* or *off* in Unleash's history when it was decided, by the event's id (0: none). An *on* after it
       * begins another rollout. Undefined when the history could not be read.
       */
      lastToggleId: z.int().optional(),
      /** The operator who asked for the stop; undefined when triggers breached. */
      requestedBy: z.string().optional(),
      /** The verdicts that breached. Empty only for a stop that an operator asked for. */
      verdicts: z.array(verdictSchema).readonly(),
      /** Cumulative counts of the epoch at the moment of the decision. */
      counts: perArm(armCountsSchema),
      /** The error types of the epoch's failures at that moment, most frequent first, at most 10 of each arm. */
      errorTypes: perArm(z.array(errorTypeCountSchema).readonly()).optional(),
      /** One sentence for an operator. */
      reason: z.string(),
    })
    .readonly(),
);

/** Why the guard stopped (or, in a dry run, would have stopped) a flag. */
export interface Decision extends z.infer<typeof decisionSchema> {}

/** Whether only rules in dry run breached, so that the others stay in force. */
export function isOfDryRunRules({ verdicts }: Pick<Decision, 'verdicts'>): boolean {
  return verdicts.length > 0 && verdicts.every(({ dryRun }) => dryRun === true);
}
