import { z } from 'zod';
import type { Evidence, WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema } from '../support/config-schemas.js';
import { formatRate, formatThreshold, inLast } from '../support/wording.js';
import {
  describeEvidence,
  describeLeftOut,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  rateOf,
} from './evidence-rule.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { countedOf, type Finding, tooFewOutcomes, triggerNameSchema, windowTrigger } from './window-rule.js';

/** Options of the triggers that compare a rate within a sliding window with a limit. */
export interface OutcomeRateOptions extends TriggerOptions {
  /**
   * `point`: the rate as it stands in the window, however few outcomes it rests on. `sequential`: see
   * {@link SequentialRateOptions}. @default 'point'
   */
  readonly evidence?: 'point' | undefined;
  /** How many counted outcomes of the treatment the window needs before there is a verdict. @default 20 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
}

/** Options of a rate trigger that rests on a sequential test instead of a minimum of outcomes. */
export interface SequentialRateOptions extends EvidenceOptions {
  /**
   * Breaches when the rate of the whole epoch is shown to be beyond the limit, by a test that stays valid however often it is
   * evaluated: while the rate is within the limit, the chance of ever breaching in one epoch is at most `alpha`. Users whose arm
   * was randomised count, each once in an epoch; at 100 % all users do.
   */
  readonly evidence: 'sequential';
}

/** A trigger on a rate of the treatment's outcomes within a sliding window. */
export interface OutcomeRateTrigger extends ThresholdTrigger {
  readonly minOutcomes: number;
}

/** Makes a trigger for a rate; `evidence` chooses the rule. */
export interface RateTriggerFactory {
  (rate: number, options?: OutcomeRateOptions): OutcomeRateTrigger;
  (rate: number, options: SequentialRateOptions): EvidenceTrigger;
}

/** What distinguishes one rate trigger from the other. */
interface RateKind {
  /** The function that a user calls. */
  readonly factory: string;
  readonly name: string;
  readonly rate: 'success' | 'error';
  readonly relation: 'below' | 'above';
}

const LIMIT = 'a fraction above 0 and below 1: a sequential test cannot use 0 and 1';

/** The factory of one kind of rate trigger. The triggers of both kinds mirror each other. */
export function rateTriggerFactory(kind: RateKind): RateTriggerFactory {
  function rateTrigger(rate: number, options?: OutcomeRateOptions): OutcomeRateTrigger;
  function rateTrigger(rate: number, options: SequentialRateOptions): EvidenceTrigger;
  function rateTrigger(rate: number, options: OutcomeRateOptions | SequentialRateOptions = {}) {
    return options?.evidence === 'sequential'
      ? sequentialRateTrigger(kind, rate, options)
      : pointRateTrigger(kind, rate, options);
  }
  return rateTrigger;
}

function pointRateTrigger(kind: RateKind, rate: number, options: OutcomeRateOptions): OutcomeRateTrigger {
  const schema = z.strictObject({
    rate: rateSchema,
    options: z.strictObject({
      minOutcomes: countSchema.default(20),
      windowMs: durationMsSchema.default(300_000),
      name: triggerNameSchema.default(kind.name),
      evidence: z.literal('point', { error: "'point' or 'sequential'" }).optional(),
    }),
  });
  const config = parseConfig(schema, { rate, options }, kind.factory);
  const { minOutcomes, windowMs, name } = config.options;
  const threshold = config.rate;
  const rule = { name, windowMs, threshold, unit: 'fraction', rate: kind.rate, minOutcomes } as const;
  return windowTrigger(rule, pointExaminer(kind, threshold, minOutcomes, windowMs));
}

/** The words that never change are made once, because the guard evaluates after every outcome. */
function pointExaminer(
  { rate, relation }: RateKind,
  threshold: number,
  minOutcomes: number,
  windowMs: number,
) {
  const inWindow = inLast(windowMs);
  const limit = `${relation} ${formatThreshold(threshold)}`;
  return ({ treatment }: WindowSnapshot): Finding => {
    const counted = countedOf(treatment);
    if (counted < minOutcomes) return tooFewOutcomes(`${rate} rate`, counted, minOutcomes, windowMs);
    const count = rate === 'success' ? treatment.successes : treatment.failures;
    const observed = count / counted;
    const breached = relation === 'below' ? observed < threshold : observed > threshold;
    const share = `${formatRate(observed, threshold)} (${count} of ${counted} ${inWindow})`;
    return {
      status: breached ? 'breach' : 'ok',
      observed,
      message: `The treatment's ${rate} rate is ${share}, ${breached ? '' : 'not '}${limit}.`,
    };
  };
}

function sequentialRateTrigger(
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
  const maxFailureRate = kind.rate === 'error' ? threshold : 1 - threshold;
  return evidenceTrigger(
    { name, threshold, unit: 'fraction', rate: kind.rate },
    { test: 'failure-rate', alpha, maxFailureRate },
    (evidence) => examineEvidence(kind, evidence, threshold, alpha),
  );
}

function examineEvidence(
  { rate, relation }: RateKind,
  evidence: Evidence,
  threshold: number,
  alpha: number,
): Finding {
  const { counts, breached } = evidence;
  const { trials, failures } = counts.treatment;
  if (trials === 0) {
    const message = `No verdict on the ${rate} rate yet: the test has no outcome of the treatment.${describeLeftOut(evidence)}`;
    return { status: 'insufficient-data', message };
  }
  const failureRate = rateOf(counts.treatment);
  const [observed, count] = rate === 'error' ? [failureRate, failures] : [1 - failureRate, trials - failures];
  const message = () => {
    const share = `${formatRate(observed, threshold)} (${count} of ${trials} since the epoch began)`;
    const limit = `${breached ? '' : 'not shown to be '}${relation} ${formatThreshold(threshold)}`;
    return `The treatment's ${rate} rate is ${share}, ${limit}; ${describeEvidence(evidence, alpha)}.`;
  };
  return { status: breached ? 'breach' : 'ok', observed, message: breached ? message : message() };
}
