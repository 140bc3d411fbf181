import { z } from 'zod';
import type { Evidence } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { rateSchema } from '../support/config-schemas.js';
import { formatRate, formatThreshold } from '../support/wording.js';
import { type EvidenceOptions, type EvidenceTrigger, evidenceFields } from './evidence-options.js';
import {
  describeBreach,
  describeEvidence,
  describeLeftOut,
  type EvidenceFinding,
  evaluateEvidence,
  rateOf,
} from './evidence-verdict.js';
import type { RateKind } from './outcome-rate.js';

/** Options of a rate trigger that waits for evidence instead of a minimum of outcomes. */
export interface SequentialRateOptions extends EvidenceOptions {
  readonly evidence: 'sequential';
}

const LIMIT = 'a fraction above 0 and below 1: an anytime-valid test can tell nothing of 0 and 1';

/** @throws ConfigError unless the rate is a fraction between 0 and 1 and the options are valid. */
export function sequentialRateTrigger(
  kind: RateKind,
  rate: number,
  options: SequentialRateOptions,
): EvidenceTrigger {
  const schema = z.strictObject({
    rate: rateSchema.refine((value) => !(value === 0 || value === 1), { error: LIMIT }),
    options: z.strictObject({ ...evidenceFields(kind.name), evidence: z.literal('sequential') }),
  });
  const config = parseConfig(schema, { rate, options }, kind.what);
  const { alpha, name } = config.options;
  const threshold = config.rate;
  const maxFailureRate = kind.relation === 'above' ? threshold : 1 - threshold;
  const rule = { name, threshold, unit: 'fraction', rate: kind.rate, alpha } as const;
  return Object.freeze({
    name,
    windowMs: 0,
    threshold,
    unit: 'fraction',
    rate: kind.rate,
    evidence: Object.freeze({ test: 'failure-rate', alpha, maxFailureRate }),
    evaluate: (snapshot, now) =>
      evaluateEvidence(rule, snapshot, now, (evidence) => examine(kind, evidence, threshold, alpha)),
  } satisfies EvidenceTrigger);
}

function examine(kind: RateKind, evidence: Evidence, threshold: number, alpha: number): EvidenceFinding {
  const { counts, breached } = evidence;
  const { trials, failures } = counts.treatment;
  if (trials === 0) {
    const message = () =>
      `The ${kind.rateName} is not judged yet: no outcome of the treatment counts.${describeLeftOut(evidence)}`;
    return { status: 'insufficient-data', message };
  }
  const failureRate = rateOf(counts.treatment);
  const [observed, count] =
    kind.relation === 'above' ? [failureRate, failures] : [1 - failureRate, trials - failures];
  const message = () => {
    const share = `${formatRate(observed, threshold)} (${count} of ${trials} since the epoch began)`;
    const relation = `${breached ? '' : 'not shown to be '}${kind.relation} ${formatThreshold(threshold)}`;
    const figures = breached ? describeBreach(evidence, alpha) : describeEvidence(evidence);
    return `The treatment's ${kind.rateName} is ${share}, ${relation}; ${figures}.`;
  };
  return { status: breached ? 'breach' : 'ok', observed, message };
}
