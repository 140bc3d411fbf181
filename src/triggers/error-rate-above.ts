import { type RateTriggerFactory, rateTriggerFactory } from './outcome-rate.js';

/**
 * Breaches when the treatment's error rate within the window is above `rate`: failures ÷ (successes + failures). A
 * fallback is a failure of the treatment; the users' own mistakes and their aborts are not counted.
 *
 * With `evidence: 'sequential'` it breaches when the rate of the whole epoch is shown to be above `rate`, by a test that stays
 * valid however often it is evaluated and needs no minimum of outcomes.
 *
 * @param rate - A fraction 0–1, for example `0.05`; a rate of exactly that is no breach. With `sequential`, above 0 and below 1.
 * @throws ConfigError that lists everything that is wrong.
 */
export const errorRateAbove: RateTriggerFactory = rateTriggerFactory({
  factory: 'errorRateAbove',
  name: 'error-rate-above',
  rate: 'error',
  relation: 'above',
});
