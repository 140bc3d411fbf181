import { z } from 'zod';
import type { ArmCounts, WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema } from '../support/config-schemas.js';
import { countOf, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { Trigger } from './trigger.js';
import { countedOf, evaluateWindow, type Finding, triggerNameSchema } from './window-rule.js';

/** Options of the triggers that judge a rate of outcomes. */
export interface OutcomeRateOptions {
  /**
   * `point`: the rate as it stands in the window, however few outcomes it rests on. `sequential`: see
   * `SequentialRateOptions`. @default 'point'
   */
  readonly evidence?: 'point' | undefined;
  /** How many judged outcomes of the treatment the window needs before anything is said. @default 20 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default the kind, for example `success-rate-below` */
  readonly name?: string | undefined;
}

/** A trigger that judges a rate of the treatment's outcomes, with what it was made of. */
export interface OutcomeRateTrigger extends Trigger {
  /** A fraction, 0–1. */
  readonly threshold: number;
  readonly minOutcomes: number;
}

/** What tells one rate from another. */
export interface RateKind {
  /** The function that a user calls. */
  readonly what: string;
  readonly name: string;
  readonly rateName: string;
  readonly rate: 'success' | 'error';
  readonly relation: 'below' | 'above';
  readonly count: (counts: ArmCounts) => number;
}

/** @throws ConfigError unless the rate is a fraction and the options are valid. */
export function outcomeRateTrigger(
  kind: RateKind,
  rate: number,
  options: OutcomeRateOptions,
): OutcomeRateTrigger {
  const schema = z.strictObject({
    rate: rateSchema,
    options: z.strictObject({
      minOutcomes: countSchema.default(20),
      windowMs: durationMsSchema.default(300_000),
      name: triggerNameSchema.default(kind.name),
      evidence: z.literal('point', { error: "'point' or 'sequential'" }).optional(),
    }),
  });
  const config = parseConfig(schema, { rate, options }, kind.what);
  const { minOutcomes, windowMs, name } = config.options;
  const threshold = config.rate;
  const rule = { name, windowMs, threshold, unit: 'fraction', rate: kind.rate } as const;
  const examine = examiner(kind, threshold, minOutcomes, windowMs);
  return Object.freeze({
    name,
    windowMs,
    threshold,
    unit: 'fraction',
    rate: kind.rate,
    minOutcomes,
    evaluate: (snapshot, now) => evaluateWindow(rule, snapshot, now, examine),
  } satisfies OutcomeRateTrigger);
}

/** How a window is judged; the words that never change are made once, because the guard judges after every outcome. */
function examiner(kind: RateKind, threshold: number, minOutcomes: number, windowMs: number) {
  const inWindow = inLast(windowMs);
  const limit = `${kind.relation} ${formatThreshold(threshold)}`;
  return ({ treatment }: WindowSnapshot): Finding => {
    const judged = countedOf(treatment);
    if (judged < minOutcomes) {
      const needed = `${countOf(judged, 'outcome')} of the treatment ${inWindow}, ${minOutcomes} needed`;
      return { status: 'insufficient-data', message: `The ${kind.rateName} is not judged yet: ${needed}.` };
    }
    const count = kind.count(treatment);
    const observed = count / judged;
    const breached = kind.relation === 'below' ? observed < threshold : observed > threshold;
    const share = `${formatRate(observed, threshold)} (${count} of ${judged} ${inWindow})`;
    const relation = `${breached ? '' : 'not '}${limit}`;
    return {
      status: breached ? 'breach' : 'ok',
      observed,
      message: `The treatment's ${kind.rateName} is ${share}, ${relation}.`,
    };
  };
}
