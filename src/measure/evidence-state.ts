import { z } from 'zod';
import type { SequentialEvidenceState } from '../statistics/sequential-evidence.js';
import { blockCountsSchema, countSchema, trialsSchema, uint32Schema } from './count-schemas.js';

const share = z.number().min(0);
const alpha = z.number().positive().lt(0.5);
const ratio = z.number().positive();

const mixture = z.object({
  weights: z.array(share).max(100),
  logScale: z.number(),
  steps: countSchema,
  peakLogE: z.number(),
  total: share,
  peak: share,
});
const oneSample = z
  .object({ mixture, trials: countSchema, failures: countSchema })
  .refine(({ trials, failures }) => failures <= trials);
const twoSample = z.object({ mixture, pending: blockCountsSchema, closed: blockCountsSchema });

const failureRegression = z.object({
  request: z.object({ test: z.literal('failure-regression'), alpha, ratio }),
  comparison: twoSample,
  frozen: z.object({ control: trialsSchema, test: oneSample.optional() }).optional(),
  peakLogE: z.number(),
  breach: z.object({ frozen: z.boolean(), logThreshold: z.number() }).optional(),
});
const failureRate = z.object({
  request: z.object({ test: z.literal('failure-rate'), alpha, maxFailureRate: z.number().positive().lt(1) }),
  limit: oneSample,
});
const latencyRegression = z.object({
  request: z.object({ test: z.literal('latency-regression'), alpha, ratio }),
  latency: z.object({
    tests: z.array(twoSample).max(100),
    thresholdsMs: z.array(share).max(100),
    fixedAtCount: countSchema,
    peakLogE: z.number(),
    invalid: countSchema,
  }),
});

/** What {@link SequentialEvidenceState} is when it comes from outside this process. */
export const evidenceStateSchema: z.ZodType<SequentialEvidenceState> = z.object({
  seed: uint32Schema,
  split: blockCountsSchema,
  everyone: trialsSchema,
  excluded: countSchema,
  repeated: countSchema,
  invalid: countSchema,
  minute: z.int().optional(),
  frozenControl: trialsSchema.optional(),
  tests: z.array(
    z.object({ trigger: z.string(), state: z.union([failureRegression, failureRate, latencyRegression]) }),
  ),
  keys: z.string().optional(),
});
