import type { EvidenceTrigger } from './evidence-options.js';
import {
  type OutcomeRateOptions,
  type OutcomeRateTrigger,
  outcomeRateTrigger,
  type RateKind,
} from './outcome-rate.js';
import { type SequentialRateOptions, sequentialRateTrigger } from './sequential-rate.js';

const KIND: RateKind = {
  what: 'errorRateAbove',
  name: 'error-rate-above',
  rateName: 'error rate',
  rate: 'error',
  relation: 'above',
  count: ({ failures }) => failures,
};

/**
 * Breaches when the treatment's error rate within the window is above `rate`: failures ÷ (successes + failures). A
 * fallback is a failure of the treatment; the users' own mistakes and their aborts are not judged.
 *
 * With `evidence: 'sequential'` it breaches when the rate of the whole epoch is shown to be above `rate`, by a test that stays
 * valid however often one looks and needs no minimum: see `failureRateAbove`.
 *
 * @param rate - A fraction 0–1, for example `0.05`; a rate of exactly that is no breach.
 * @throws ConfigError that lists everything that is wrong.
 */
export function errorRateAbove(rate: number, options?: OutcomeRateOptions): OutcomeRateTrigger;
export function errorRateAbove(rate: number, options: SequentialRateOptions): EvidenceTrigger;
export function errorRateAbove(
  rate: number,
  options: OutcomeRateOptions | SequentialRateOptions = {},
): OutcomeRateTrigger | EvidenceTrigger {
  return options?.evidence === 'sequential'
    ? sequentialRateTrigger(KIND, rate, options)
    : outcomeRateTrigger(KIND, rate, options);
}
