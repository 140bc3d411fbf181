import { z } from 'zod';
import type { Evidence } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { rateSchema } from '../support/config-schemas.js';
import { formatRate, formatThreshold } from '../support/wording.js';
import {
  describeBreach,
  describeEvidence,
  describeLeftOut,
  type EvidenceFinding,
  type EvidenceOptions,
  type EvidenceTrigger,
  evaluateEvidence,
  evidenceFields,
  rateOf,
} from './evidence-rule.js';

/** Options of a rate trigger that rests on an anytime-valid test instead of a minimum of outcomes. */
export interface SequentialRateOptions extends EvidenceOptions {
  /**
   * Breaches when the rate of the whole epoch is shown to be beyond the limit, by a test that stays valid however often it is
   * evaluated: while the rate is within the limit, the chance of ever breaching in one epoch is at most `alpha`. Users whose arm
   * was randomised count, each once in an epoch; at 100 % all users do.
   */
  readonly evidence: 'sequential';
}

/** What distinguishes one rate trigger from the other. */
export interface RateKind {
  /** The function that a user calls. */
  readonly factory: string;
  readonly name: string;
  readonly rateName: string;
  readonly rate: 'success' | 'error';
  /** `below`: the rate is that of successes. `above`: that of failures. */
  readonly relation: 'below' | 'above';
}

const LIMIT = 'a fraction above 0 and below 1: an anytime-valid test cannot use 0 and 1';

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
  const config = parseConfig(schema, { rate, options }, kind.factory);
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
      `No verdict on the ${kind.rateName} yet: the test has no outcome of the treatment.${describeLeftOut(evidence)}`;
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
