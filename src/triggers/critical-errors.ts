import { z } from 'zod';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema } from '../support/config-schemas.js';
import { countOf, formatTime, inLast } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { countedOf, type Finding, noVerdict, triggerFields, windowTrigger } from './window-rule.js';

/** Options of {@link criticalErrors}. */
export interface CriticalErrorsOptions extends TriggerOptions {
  /** How many critical errors within the window are a breach. @default 1 */
  readonly minCount?: number | undefined;
  /** Further codes or names of error classes that are critical; subclasses count. @default none */
  readonly errorTypes?: readonly string[] | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
}

const optionsSchema = z.strictObject({
  minCount: countSchema.default(1),
  errorTypes: z.array(z.string().min(1)).default([]),
  windowMs: durationMsSchema.default(300_000),
  ...triggerFields('critical-errors'),
});

/**
 * Breaches when the treatment met critical errors: out of memory, disk or file handles, or what `errorTypes` names. One
 * is enough, whatever the success rate. Whether an error is critical is decided when its outcome is recorded.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function criticalErrors(options: CriticalErrorsOptions = {}): ThresholdTrigger {
  const { minCount, errorTypes, windowMs, name, dryRun } = parseConfig(
    optionsSchema,
    options,
    'criticalErrors',
  );
  const criticalErrorTypes = Object.freeze([...errorTypes]);
  const rule = { name, windowMs, threshold: minCount, unit: 'count', dryRun, criticalErrorTypes } as const;
  return windowTrigger(rule, ({ treatment }, { lastCritical: last }, now): Finding => {
    const observed = treatment.critical;
    if (observed === 0 && countedOf(treatment) === 0) {
      return noVerdict('critical errors', `no outcome of the treatment ${inLast(windowMs)}`);
    }
    const breached = observed >= minCount;
    const found = `The treatment had ${countOf(observed, 'critical error')} ${inLast(windowMs)}`;
    const latest =
      observed > 0 && last !== undefined
        ? ` (${observed === 1 ? '' : 'the latest: '}${last.errorType} at ${formatTime(last.at, now)})`
        : '';
    const relation = breached ? `${minCount} or more are a breach` : `fewer than ${minCount}`;
    return { status: breached ? 'breach' : 'ok', observed, message: `${found}${latest}, ${relation}.` };
  });
}
