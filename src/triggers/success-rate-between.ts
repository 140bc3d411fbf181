import { z } from 'zod';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema } from '../support/config-schemas.js';
import { formatCount, formatDuration, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import {
  countedOf,
  type Finding,
  noVerdict,
  tooFewOutcomes,
  triggerFields,
  windowTrigger,
} from './window-rule.js';

/** Options of {@link successRateBetween}. */
export interface SuccessRateBetweenOptions extends TriggerOptions {
  /** How many counted outcomes of the treatment the window needs before there is a verdict. @default 20 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds. @default 1_800_000 (30 minutes) */
  readonly windowMs?: number | undefined;
}

const schema = z
  .strictObject({
    low: rateSchema,
    high: rateSchema,
    options: z.strictObject({
      minOutcomes: countSchema.default(20),
      windowMs: durationMsSchema.default(1_800_000),
      ...triggerFields('success-rate-between'),
    }),
  })
  .refine(({ low, high }) => low < high, { path: ['high'], error: 'a rate above the low one' });

/**
 * Breaches when the treatment's success rate has been at least `low` and below `high` for the whole window: too good to
 * stop, not good enough to proceed. Meant for `review`. There is no verdict before the epoch is as old as the window.
 *
 * @param low - A fraction 0–1, usually the rate below which another trigger stops the flag.
 * @param high - A fraction 0–1 above `low`; a rate of exactly that is no breach.
 * @throws ConfigError that lists everything that is wrong.
 */
export function successRateBetween(
  low: number,
  high: number,
  options: SuccessRateBetweenOptions = {},
): ThresholdTrigger {
  const config = parseConfig(schema, { low, high, options }, 'successRateBetween');
  const { minOutcomes, windowMs, name, dryRun } = config.options;
  const rule = {
    name,
    windowMs,
    threshold: high,
    unit: 'fraction',
    rate: 'success',
    dryRun,
    minOutcomes,
  } as const;
  return windowTrigger(rule, ({ treatment }, { epochStartedAt }, now): Finding => {
    const counted = countedOf(treatment);
    if (counted < minOutcomes) return tooFewOutcomes('success rate', counted, minOutcomes, windowMs);
    if (now - epochStartedAt < windowMs) {
      return noVerdict('the success rate', `the rollout changed less than ${formatDuration(windowMs)} ago`);
    }
    const observed = treatment.successes / counted;
    const breached = observed >= low && observed < high;
    const share = `${formatRate(observed, high)} (${formatCount(treatment.successes)} of ${formatCount(counted)} ${inLast(windowMs)})`;
    const range = `${formatThreshold(low)} and ${formatThreshold(high)}`;
    return {
      status: breached ? 'breach' : 'ok',
      observed,
      message: `The treatment's success rate is ${share}, ${breached ? '' : 'not '}between ${range}.`,
    };
  });
}
