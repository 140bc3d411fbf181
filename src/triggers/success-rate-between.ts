import { z } from 'zod';
import type { WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema } from '../support/config-schemas.js';
import { countOf, formatDuration, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { OutcomeRateOptions, OutcomeRateTrigger } from './outcome-rate.js';
import { countedOf, evaluateWindow, type Finding, triggerNameSchema } from './window-rule.js';

const optionsSchema = z.strictObject({
  low: rateSchema,
  high: rateSchema,
  options: z.strictObject({
    minOutcomes: countSchema.default(20),
    windowMs: durationMsSchema.default(1_800_000),
    name: triggerNameSchema.default('success-rate-between'),
  }),
});

const schema = optionsSchema.refine(({ low, high }) => low < high, {
  path: ['high'],
  error: 'a rate above the low one',
});

/**
 * Breaches when the treatment's success rate has been at least `low` and below `high` for the whole window: too good to
 * stop, not good enough to go on. Meant for `review`. Nothing is said before the epoch is as old as the window.
 *
 * @param low - A fraction 0–1, usually the rate below which another trigger stops the flag.
 * @param high - A fraction 0–1 above `low`; a rate of exactly that is no breach.
 * @param options - `windowMs` is 1_800_000 (30 minutes) by default, `minOutcomes` 20.
 * @throws ConfigError that lists everything that is wrong.
 */
export function successRateBetween(
  low: number,
  high: number,
  options: OutcomeRateOptions = {},
): OutcomeRateTrigger {
  const config = parseConfig(schema, { low, high, options }, 'successRateBetween');
  const { minOutcomes, windowMs, name } = config.options;
  const rule = { name, windowMs, threshold: high, unit: 'fraction', rate: 'success' } as const;
  return Object.freeze({
    name,
    windowMs,
    threshold: high,
    unit: 'fraction',
    rate: 'success',
    minOutcomes,
    evaluate: (snapshot, now) =>
      evaluateWindow(rule, snapshot, now, (window) =>
        examine(window, config.low, config.high, minOutcomes, now - snapshot.epochStartedAt),
      ),
  } satisfies OutcomeRateTrigger);
}

function examine(
  { treatment, windowMs }: WindowSnapshot,
  low: number,
  high: number,
  minOutcomes: number,
  epochAgeMs: number,
): Finding {
  const judged = countedOf(treatment);
  if (judged < minOutcomes) {
    const needed = `${countOf(judged, 'outcome')} of the treatment ${inLast(windowMs)}, ${minOutcomes} needed`;
    return { status: 'insufficient-data', message: `The success rate is not reviewed yet: ${needed}.` };
  }
  if (epochAgeMs < windowMs) {
    const message = `The success rate is not reviewed yet: the rollout is younger than ${formatDuration(windowMs)}.`;
    return { status: 'insufficient-data', message };
  }
  const observed = treatment.successes / judged;
  const breached = observed >= low && observed < high;
  const share = `${formatRate(observed, high)} (${treatment.successes} of ${judged} ${inLast(windowMs)})`;
  const range = `${formatThreshold(low)} and ${formatThreshold(high)}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed,
    message: `The treatment's success rate is ${share}, ${breached ? '' : 'not '}between ${range}.`,
  };
}
