import { type RateTriggerFactory, rateTriggerFactory } from './outcome-rate.js';

/**
 * Breaches when the treatment's success rate within the window is below `rate`: successes ÷ (successes + failures). A
 * fallback is a failure of the treatment; the users' own mistakes and their aborts are not counted.
 *
 * With `evidence: 'sequential'` it breaches when the rate of the whole epoch is shown to be below `rate`, by a test that stays
 * valid however often it is evaluated and needs no minimum of outcomes.
 *
 * @param rate - A fraction 0–1, for example `0.95`; a rate of exactly that is no breach. With `sequential`, above 0 and below 1.
 * @throws ConfigError that lists everything that is wrong.
 */
export const successRateBelow: RateTriggerFactory = rateTriggerFactory({
  factory: 'successRateBelow',
  name: 'success-rate-below',
  rate: 'success',
  relation: 'below',
});
