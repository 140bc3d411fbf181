import { z } from 'zod';
import { metricRequestSchema } from './metrics/metric-request.js';

/**
 * What the sequential tests are configured with and how they are saved. All of it leaves the process (to the log's checkpoint, to
 * Redis), so each shape is a schema, and its type is inferred from it.
 */

const count = z.number().min(0);
const share = z.number().min(0);
const alpha = z.number().positive().lt(0.5);
const ratio = z.number().positive();

// ── What a trigger tests ─────────────────────────────────────────────────────────────────────────

/** What can happen to a unit, and be compared between the arms. */
export const UNIT_EVENTS = [
  'failure',
  'aborted',
  'expected',
  'fallback',
  'retried',
  'complaint',
  'unreported',
] as const;

/** One of {@link UNIT_EVENTS}. */
export type UnitEvent = (typeof UNIT_EVENTS)[number];

const eventRequest = z.lazy(() =>
  z
    .object({
      test: z.literal('event'),
      event: z.enum(UNIT_EVENTS),
      alpha,
      /** The odds ratio, treatment to control, that is tolerated; against a frozen control, the ratio of rates. */
      ratio,
      /** Of the rates per outcome since the harm began, a fraction: a smaller difference is no breach. */
      minDifference: z.number().min(0).lt(1),
    })
    .readonly(),
);

/** The failure rate is a fraction above 0 and below 1. */
const limitRequest = z.lazy(() =>
  z.object({ test: z.literal('limit'), alpha, maxFailureRate: z.number().positive().lt(1) }).readonly(),
);

/** The ratio is how many times the control's durations are tolerated. */
const latencyRequest = z.lazy(() => z.object({ test: z.literal('latency'), alpha, ratio }).readonly());

const sampleRatioRequest = z.lazy(() => z.object({ test: z.literal('sample-ratio'), alpha }).readonly());

export const evidenceRequestSchema = z.discriminatedUnion('test', [
  eventRequest,
  limitRequest,
  latencyRequest,
  sampleRatioRequest,
  metricRequestSchema,
]);

/** The failure rate of the treatment against a limit. */
export type LimitRequest = z.infer<typeof limitRequest>;

/** The durations of the treatment's successes against the control's. */
export type LatencyRequest = z.infer<typeof latencyRequest>;

/** The test that a trigger needs; plain data. @useDeclaredType */
export type EvidenceRequest = z.infer<typeof evidenceRequestSchema>;

// ── States of tests ──────────────────────────────────────────────────────────────────────────────

const mixtureSchema = z.lazy(() =>
  z
    .object({
      weights: z.array(share).max(100).readonly(),
      sinceLowest: z.array(z.number().min(1)).max(100).readonly(),
      logScale: z.number(),
      steps: count,
      peakLogE: z.number(),
      /** E and its peak in units of the scale: adding the weights up would round. */
      total: share,
      peak: share,
    })
    .readonly(),
);

const trialsSchema = z
  .object({ trials: count, failures: count })
  .refine(({ trials, failures }) => failures <= trials)
  .readonly();

const limitTestSchema = z.lazy(() =>
  z
    .object({
      mixture: mixtureSchema,
      trials: count,
      failures: count,
      onsets: z.array(z.number()).max(300).readonly(),
    })
    .readonly(),
);

const totalsSchema = z.tuple([count, count, count, count]).readonly();
const momentSchema = z.lazy(() => z.object({ at: z.number(), totals: totalsSchema }).readonly());

const eventTestSchema = z.lazy(() =>
  z
    .object({
      mixture: mixtureSchema,
      events: count,
      onsets: z.array(momentSchema.nullable()).max(100).readonly(),
    })
    .readonly(),
);

const frozenControlSchema = z.lazy(() => z.object({ control: trialsSchema, at: z.number() }).readonly());

const armTrialsSchema = z.object({ treatment: trialsSchema, control: trialsSchema }).readonly();

const sinceSchema = z.lazy(() => z.object({ at: z.number().optional(), counts: armTrialsSchema }).readonly());

const breachSchema = z.lazy(() =>
  z.object({ at: z.number(), frozen: z.boolean(), since: sinceSchema }).readonly(),
);

const comparisonSchema = z.lazy(() =>
  z
    .object({
      test: eventTestSchema,
      /** Its test is undefined where the control was too small to test anything. */
      frozen: z
        .object({ reference: frozenControlSchema, test: limitTestSchema.optional() })
        .readonly()
        .optional(),
      /** Where the totals stood when the generation began; undefined in the first one. */
      start: momentSchema.optional(),
      /** Where they stood before the treatment's latest events. */
      starts: z.array(momentSchema).max(100).readonly(),
      onset: momentSchema.optional(),
      breach: breachSchema.optional(),
    })
    .readonly(),
);

const streamSchema = z.lazy(() =>
  z
    .object({
      totals: totalsSchema,
      atRisk: totalsSchema,
      full: z.tuple([count, count]).readonly(),
      control: trialsSchema,
      reference: frozenControlSchema.optional(),
      marks: z.string(),
      isFull: z.boolean(),
      generation: z.int().min(1),
      recent: count,
      recentMarked: count,
      repeated: count,
      comparisons: z.array(comparisonSchema).max(100).readonly(),
    })
    .readonly(),
);

const latencyStateSchema = z.lazy(() =>
  z
    .object({
      streams: z.array(streamSchema).max(10).readonly(),
      thresholdsMs: z.array(share).max(10).readonly(),
      fixedAtCount: count,
    })
    .readonly(),
);

const metricNotesSchema = z.object({ tracked: count, unattributed: count, invalid: count }).readonly();
const valuesSchema = z.lazy(() => z.array(z.number()).max(10_000).readonly());

const metricStateSchema = z.lazy(() =>
  z
    .object({
      streams: z.array(streamSchema).max(10).readonly(),
      limits: z.array(z.number().nullable()).max(10).readonly(),
      samples: z.object({ treatment: valuesSchema, control: valuesSchema }).readonly(),
      /** Trials and the sum of their values, of the treatment, then of the control. */
      totals: z.tuple([count, z.number(), count, z.number()]).readonly(),
      notes: metricNotesSchema,
      controlCount: count,
      fixedAtCount: count,
    })
    .readonly(),
);

const limitStateSchema = z.object({ units: limitTestSchema, outcomes: limitTestSchema }).readonly();

const sampleRatioStateSchema = z.lazy(() =>
  z
    .object({
      test: eventTestSchema,
      seen: z.string(),
      arms: z.string(),
      shift: z.int().min(0).max(31),
      units: count,
      treatment: count,
      expected: count,
      epochUnits: count,
      inBothArms: count,
    })
    .readonly(),
);

export type RestartMixtureState = z.infer<typeof mixtureSchema>;
export type LimitTestState = z.infer<typeof limitTestSchema>;
export type EventTestState = z.infer<typeof eventTestSchema>;
export type FrozenReference = z.infer<typeof frozenControlSchema>;
export type BreachState = z.infer<typeof breachSchema>;
export type ComparisonState = z.infer<typeof comparisonSchema>;
export type EventStreamState = z.infer<typeof streamSchema>;
export type LatencyState = z.infer<typeof latencyStateSchema>;
export type LimitState = z.infer<typeof limitStateSchema>;
export type MetricState = z.infer<typeof metricStateSchema>;
export type SampleRatioState = z.infer<typeof sampleRatioStateSchema>;

/** The evidence of a rollout, for the next run. */
export const rolloutEvidenceSchema = z.lazy(() =>
  z
    .object({
      /** What the tests are for, in order: a state of other tests is of no use. */
      specs: z.array(z.object({ trigger: z.string(), request: evidenceRequestSchema }).readonly()).readonly(),
      events: z.array(z.tuple([z.enum(UNIT_EVENTS), streamSchema]).readonly()).readonly(),
      latency: z.array(latencyStateSchema).readonly(),
      limits: z.array(limitStateSchema).readonly(),
      metrics: z.array(metricStateSchema).readonly(),
      limitMarks: z.string(),
      sampleRatio: sampleRatioStateSchema.optional(),
      excluded: count,
      invalid: count,
    })
    .readonly(),
);

/** What {@link rolloutEvidenceSchema} describes. */
export type RolloutEvidenceState = z.infer<typeof rolloutEvidenceSchema>;
