import { z } from 'zod';
import type { WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema } from '../support/config-schemas.js';
import { formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { EvidenceTrigger } from './evidence-rule.js';
import { type RateKind, type SequentialRateOptions, sequentialRateTrigger } from './sequential-rate.js';
import type { ThresholdTrigger } from './trigger.js';
import { countedOf, evaluateWindow, type Finding, tooFewOutcomes, triggerNameSchema } from './window-rule.js';

/** Options of the triggers that compare a rate within a sliding window with a limit. */
export interface OutcomeRateOptions {
  /**
   * `point`: the rate as it stands in the window, however few outcomes it rests on. `sequential`: see
   * {@link SequentialRateOptions}. @default 'point'
   */
  readonly evidence?: 'point' | undefined;
  /** How many counted outcomes of the treatment the window needs before there is a verdict. @default 20 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default the kind, for example `success-rate-below` */
  readonly name?: string | undefined;
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
  const rule = { name, windowMs, threshold: config.rate, unit: 'fraction', rate: kind.rate } as const;
  const examine = examiner(kind, rule.threshold, minOutcomes, windowMs);
  return Object.freeze({
    ...rule,
    minOutcomes,
    evaluate: (snapshot, now) => evaluateWindow(rule, snapshot, now, examine),
  } satisfies OutcomeRateTrigger);
}

/** The words that never change are made once, because the guard evaluates after every outcome. */
function examiner(kind: RateKind, threshold: number, minOutcomes: number, windowMs: number) {
  const inWindow = inLast(windowMs);
  const limit = `${kind.relation} ${formatThreshold(threshold)}`;
  return ({ treatment }: WindowSnapshot): Finding => {
    const counted = countedOf(treatment);
    if (counted < minOutcomes) return tooFewOutcomes(kind.rateName, counted, minOutcomes, windowMs);
    const count = kind.relation === 'below' ? treatment.successes : treatment.failures;
    const observed = count / counted;
    const breached = kind.relation === 'below' ? observed < threshold : observed > threshold;
    const share = `${formatRate(observed, threshold)} (${count} of ${counted} ${inWindow})`;
    const relation = `${breached ? '' : 'not '}${limit}`;
    return {
      status: breached ? 'breach' : 'ok',
      observed,
      message: `The treatment's ${kind.rateName} is ${share}, ${relation}.`,
    };
  };
}
