import type { EvidenceTrigger } from './evidence-options.js';
import {
  type OutcomeRateOptions,
  type OutcomeRateTrigger,
  outcomeRateTrigger,
  type RateKind,
} from './outcome-rate.js';
import { type SequentialRateOptions, sequentialRateTrigger } from './sequential-rate.js';

const KIND: RateKind = {
  what: 'successRateBelow',
  name: 'success-rate-below',
  rateName: 'success rate',
  rate: 'success',
  relation: 'below',
  count: ({ successes }) => successes,
};

/**
 * Breaches when the treatment's success rate within the window is below `rate`: successes ÷ (successes + failures). A
 * fallback is a failure of the treatment; the users' own mistakes and their aborts are not judged.
 *
 * With `evidence: 'sequential'` it breaches when the rate of the whole epoch is shown to be below `rate`, by a test that stays
 * valid however often one looks and needs no minimum: see `failureRateAbove`.
 *
 * @param rate - A fraction 0–1, for example `0.95`; a rate of exactly that is no breach.
 * @throws ConfigError that lists everything that is wrong.
 */
export function successRateBelow(rate: number, options?: OutcomeRateOptions): OutcomeRateTrigger;
export function successRateBelow(rate: number, options: SequentialRateOptions): EvidenceTrigger;
export function successRateBelow(
  rate: number,
  options: OutcomeRateOptions | SequentialRateOptions = {},
): OutcomeRateTrigger | EvidenceTrigger {
  return options?.evidence === 'sequential'
    ? sequentialRateTrigger(KIND, rate, options)
    : outcomeRateTrigger(KIND, rate, options);
}
