import type { EvidenceOptions, EvidenceTrigger } from './evidence-options.js';
import { sequentialRateTrigger } from './sequential-rate.js';

export interface FailureRateAboveOptions extends EvidenceOptions {
  /** The only kind of evidence that it takes; `errorRateAbove` is the literal rule. @default 'sequential' */
  readonly evidence?: 'sequential' | undefined;
}

/**
 * Breaches when the treatment's failure rate is above `rate`, whatever the control does, shown by a test that stays valid however
 * often one looks: while the failure rate is at most `rate`, the chance of ever breaching in one epoch is at most `alpha`. Users in
 * an arm by chance count, each once in an epoch, and at 100 % everybody.
 *
 * @param rate - A fraction above 0 and below 1, for example `0.05`.
 * @throws ConfigError that lists everything that is wrong.
 */
export function failureRateAbove(rate: number, options: FailureRateAboveOptions = {}): EvidenceTrigger {
  return sequentialRateTrigger(
    {
      what: 'failureRateAbove',
      name: 'failure-rate-above',
      rateName: 'failure rate',
      rate: 'error',
      relation: 'above',
      count: ({ failures }) => failures,
    },
    rate,
    { ...options, evidence: options.evidence ?? 'sequential' },
  );
}
