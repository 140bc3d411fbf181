import { DEFAULT_ALPHA_WEIGHTS, splitAlpha } from '../../statistics/parameters.js';
import { criticalErrors } from '../../triggers/critical-errors.js';
import { errorRateAbove } from '../../triggers/error-rate-above.js';
import {
  complaintRateRising,
  eventRegression,
  failureRegression,
  unreportedAbove,
} from '../../triggers/event-regression.js';
import { latencyRegression } from '../../triggers/latency-regression.js';
import { memoryGrowth } from '../../triggers/memory-growth.js';
import { sampleRatioMismatch, usersInBothArms } from '../../triggers/sample-ratio-mismatch.js';
import { successRateBelow } from '../../triggers/success-rate-below.js';
import { successRateBetween } from '../../triggers/success-rate-between.js';
import type { Trigger } from '../../triggers/trigger.js';
import type { RolloutGuardOptions } from './options.js';

/** What a preset sets; every field can be overridden after it is spread. */
export type RolloutPreset = Required<
  Pick<RolloutGuardOptions, 'rollback' | 'review' | 'stages' | 'operation' | 'log'>
>;

/** At most 5 % of healthy rollouts are ever stopped, or opened for review for their latency, by the sequential tests. */
const ALPHA = 0.05;
/** What only asks for a check has a small alpha of its own. */
const REVIEW_ALPHA = 0.001;

let rollback: readonly Trigger[] | undefined;
let review: readonly Trigger[] | undefined;

/**
 * The first rollout, `async-upload`. Rollback at once: a success rate below 95 % or an error rate above 5 %, beyond chance and worse than
 * the control of the same minutes; evidence, from the first outcome on, that the treatment fails, or is given up by its callers,
 * more than the control (by 2 points or more); one critical error; memory more than 20 % above its baseline. Review by an operator: a
 * success rate of 95–97 % for 30 minutes; evidence that the treatment takes more than 1.2 times as long as the control, has more expected
 * errors, more than 1.5 times its complaints or more evaluations without an outcome; arms that do not have the units that chance put
 * there, or units that are in both. Stages: 1, 10, 50 and 100 %. Operations: 2 retries, 30 s for an arm, then the control.
 */
export const asyncUploadRollout: RolloutPreset = {
  // Made when first used: importing the package must not take longer for who uses rules of their own.
  get rollback() {
    rollback ??= rollbackTriggers();
    return rollback;
  },
  get review() {
    review ??= reviewTriggers();
    return review;
  },
  stages: [
    { percentage: 1, minOutcomes: 100, minSuccessRate: 0.995 },
    { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
    { percentage: 50, minOutcomes: 2_000, minSuccessRate: 0.985 },
    { percentage: 100, minOutcomes: 5_000, minSuccessRate: 0.98 },
  ],
  operation: { retries: 2, timeoutMs: 30_000, fallback: true },
  log: {
    executionTypes: { treatment: 'async', control: 'sync', fallback: 'sync_fallback' },
    columns: ['file_size_mb', 'provider', 'request_id'],
  },
};

function rollbackTriggers(): readonly Trigger[] {
  const alpha = splitAlpha(ALPHA, DEFAULT_ALPHA_WEIGHTS);
  return [
    successRateBelow(0.95),
    errorRateAbove(0.05),
    // The stages tolerate up to 2 % of failures: a smaller difference, however certain, is left to them.
    failureRegression({ alpha: alpha.failure, minDifference: 0.02 }),
    errorRateAbove(0.05, {
      evidence: 'sequential',
      alpha: alpha.limit,
      name: 'error-rate-above-sequential',
    }),
    // Often a caller's deadline: a hang, seen from outside.
    eventRegression('aborted', { alpha: alpha.aborted, minDifference: 0.02 }),
    criticalErrors(),
    memoryGrowth(1.2),
  ];
}

function reviewTriggers(): readonly Trigger[] {
  const alpha = splitAlpha(ALPHA, DEFAULT_ALPHA_WEIGHTS);
  return [
    successRateBetween(0.95, 0.97, { minOutcomes: 100, windowMs: 30 * 60_000 }),
    latencyRegression({ ratio: 1.2, alpha: alpha.latency }),
    eventRegression('expected', { alpha: REVIEW_ALPHA, minDifference: 0.02 }),
    complaintRateRising({ alpha: REVIEW_ALPHA }),
    unreportedAbove({ alpha: REVIEW_ALPHA }),
    // Is the experiment itself sound?
    sampleRatioMismatch(),
    usersInBothArms(),
  ];
}
