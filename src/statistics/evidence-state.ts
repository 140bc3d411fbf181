import { z } from 'zod';

/**
 * What the sequential tests are configured with, what they count and how they are saved. All of it leaves the process
 * (to the log's checkpoint, to Redis), so each shape is a schema, and its type is inferred from it.
 */

const count = z.int().min(0);
const share = z.number().min(0);
const alpha = z.number().positive().lt(0.5);
const ratio = z.number().positive();

// ── What a trigger tests ─────────────────────────────────────────────────────────────────────────

const failureRegressionRequest = z
  .object({
    test: z.literal('failure-regression'),
    alpha,
    /** The odds ratio of failing that is tolerated; against a frozen control, the ratio of failure rates. */
    ratio,
  })
  .readonly();

/** The failure rate is a fraction above 0 and below 1. */
const failureRateRequest = z
  .object({ test: z.literal('failure-rate'), alpha, maxFailureRate: z.number().positive().lt(1) })
  .readonly();

/** The ratio is how many times the control's durations are tolerated. */
const latencyRegressionRequest = z.object({ test: z.literal('latency-regression'), alpha, ratio }).readonly();

export const evidenceRequestSchema = z.discriminatedUnion('test', [
  failureRegressionRequest,
  failureRateRequest,
  latencyRegressionRequest,
]);

/** The failure rate of the treatment against the control's: tests 2 and, where no control remains, 4. */
export type FailureRegressionRequest = z.infer<typeof failureRegressionRequest>;

/** The failure rate of the treatment against a limit: test 1. */
export type FailureRateRequest = z.infer<typeof failureRateRequest>;

/** The durations of the treatment's successes against the control's: test 3. */
export type LatencyRegressionRequest = z.infer<typeof latencyRegressionRequest>;

/** The test that a trigger needs; plain data. */
export type EvidenceRequest = z.infer<typeof evidenceRequestSchema>;

// ── Counts ───────────────────────────────────────────────────────────────────────────────────────

const trialsSchema = z
  .object({ trials: count, failures: count })
  .refine(({ trials, failures }) => failures <= trials)
  .readonly();

const blockCountsSchema = z.object({ treatment: trialsSchema, control: trialsSchema }).readonly();

/** Trials and failures of both arms. */
export type BlockCounts = z.infer<typeof blockCountsSchema>;

const epochFields = {
  /** Outcomes whose arm was randomised. */
  randomised: blockCountsSchema,
  /** Outcomes of the treatment at 100 %, where no arm is drawn. */
  fullRollout: trialsSchema,
};

const leftOutFields = {
  /** Counted outcomes whose arm was not randomised. */
  excluded: count,
  /** Counted outcomes of a targeting key that had counted already. */
  repeated: count,
  /** Durations that were NaN, infinite or negative. */
  invalid: count,
};

export const evidenceDeltaSchema = z
  .object({
    ...epochFields,
    ...leftOutFields,
    /** Exceedances by quantile, for each kind of latency test. */
    latency: z.array(z.tuple([z.string(), z.array(blockCountsSchema).readonly()]).readonly()).readonly(),
  })
  .readonly();

/** What one process counted since its previous delta; no targeting keys. */
export type EvidenceDelta = z.infer<typeof evidenceDeltaSchema>;

/** What all tests of an epoch share. */
export type EpochEvidence = Pick<EvidenceDelta, 'randomised' | 'fullRollout'>;

/** Counts from another process or an earlier run, as a test receives them. */
export type EvidenceCounts = Pick<EvidenceDelta, 'randomised' | 'fullRollout' | 'latency'>;

// ── States of tests ──────────────────────────────────────────────────────────────────────────────

const mixtureSchema = z
  .object({
    weights: z.array(share).max(100).readonly(),
    logScale: z.number(),
    steps: count,
    peakLogE: z.number(),
    /** E and its peak in units of the scale: adding the weights up would round. */
    total: share,
    peak: share,
  })
  .readonly();

const oneSampleSchema = z
  .object({ mixture: mixtureSchema, trials: count, failures: count })
  .refine(({ trials, failures }) => failures <= trials)
  .readonly();

const twoSampleSchema = z
  .object({ mixture: mixtureSchema, pending: blockCountsSchema, closed: blockCountsSchema })
  .readonly();

const frozenControlSchema = z.object({ control: trialsSchema, test: oneSampleSchema }).readonly();

const latencySchema = z
  .object({
    tests: z.array(twoSampleSchema).max(100).readonly(),
    thresholdsMs: z.array(share).max(100).readonly(),
    fixedAtCount: count,
    peakLogE: z.number(),
  })
  .readonly();

const failureRegressionSchema = z
  .object({
    request: failureRegressionRequest,
    comparison: twoSampleSchema,
    frozen: frozenControlSchema.optional(),
    peakLogE: z.number(),
    /** Which comparison had breached, and at which threshold. */
    breach: z.object({ frozen: z.boolean(), logThreshold: z.number() }).readonly().optional(),
  })
  .readonly();

const failureRateSchema = z.object({ request: failureRateRequest, limit: oneSampleSchema }).readonly();

const latencyRegressionSchema = z
  .object({ request: latencyRegressionRequest, latency: latencySchema })
  .readonly();

const evidenceTestSchema = z.union([failureRegressionSchema, failureRateSchema, latencyRegressionSchema]);

export type RestartMixtureState = z.infer<typeof mixtureSchema>;
export type OneSampleTestState = z.infer<typeof oneSampleSchema>;
export type TwoSampleTestState = z.infer<typeof twoSampleSchema>;
export type FailureRegressionState = z.infer<typeof failureRegressionSchema>;
export type FailureRateState = z.infer<typeof failureRateSchema>;
export type LatencyRegressionState = z.infer<typeof latencyRegressionSchema>;

/** A test with its request: its evidence is of no use for another request. */
export type EvidenceTestState = z.infer<typeof evidenceTestSchema>;

export const sequentialEvidenceSchema = z
  .object({
    ...epochFields,
    ...leftOutFields,
    seed: z.int().min(0).max(0xffff_ffff),
    /** The minute, counted from 1970, in which the open blocks began; undefined before the first outcome. */
    minute: z.int().optional(),
    frozenControl: trialsSchema.optional(),
    tests: z.array(z.object({ trigger: z.string(), state: evidenceTestSchema }).readonly()).readonly(),
    /** Which keys have counted, as a bit set in text. */
    keys: z.string().optional(),
  })
  .readonly();

/** The evidence of an epoch, for the next run. */
export type SequentialEvidenceState = z.infer<typeof sequentialEvidenceSchema>;
