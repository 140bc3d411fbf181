import { z } from 'zod';
import type { ExposureCounts } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, rateSchema, ratioSchema } from '../support/config-schemas.js';
import { countOf, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { type Finding, noVerdict, triggerNameSchema, windowTrigger } from './window-rule.js';

/** Options of {@link unreportedAbove}. */
export interface UnreportedAboveOptions extends TriggerOptions {
  /** How many times the control's share of exposures without an outcome is tolerated, for example 2. */
  readonly ratio: number;
  /** How many exposures of each arm the window needs before there is a verdict. @default 100 */
  readonly minExposures?: number | undefined;
  /**
   * A smaller share of the treatment's exposures is no breach, whatever the control's is; a fraction above 0.
   * @default 0.01
   */
  readonly minShare?: number | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
}

const optionsSchema = z.strictObject({
  ratio: ratioSchema,
  minExposures: countSchema.default(100),
  minShare: rateSchema.refine((share) => share !== 0, { error: 'a fraction above 0' }).default(0.01),
  windowMs: durationMsSchema.default(300_000),
  name: triggerNameSchema.default('unreported-above'),
});

/**
 * Breaches when the treatment leaves more exposures without an outcome than the control does: its code hangs. A guard
 * that only counts what is reported would not see it. Some evaluations never lead to an operation, in either arm, so the share
 * alone means nothing: only more than `ratio` times the control's is a breach. Without a control there is no verdict. Meant for
 * `review`.
 *
 * The sample sizes of its verdicts are exposures older than the guard's `outcomeTimeoutMs`.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function unreportedAbove(options: UnreportedAboveOptions): ThresholdTrigger {
  const config = parseConfig(optionsSchema, options, 'unreportedAbove');
  const { ratio, minExposures, minShare, windowMs, name } = config;
  const rule = { name, windowMs, threshold: ratio, unit: 'ratio', minExposures, minShare } as const;
  return windowTrigger(rule, ({ exposures: { treatment, control } }): Finding => {
    const sampleSize = { treatment: treatment.due, control: control.due };
    if (treatment.due < minExposures || control.due < minExposures) {
      const found = `${countOf(treatment.due, 'exposure')} of the treatment and ${control.due} of the control`;
      const why = `${found} ${inLast(windowMs)}, ${minExposures} of each needed`;
      return { ...noVerdict('missing outcomes', why), sampleSize };
    }
    const [treatmentShare, controlShare] = [shareOf(treatment), shareOf(control)];
    const limit = Math.max(minShare, ratio * controlShare);
    const breached = treatmentShare > limit;
    // Compared with the ratio, this is equivalent, and finite when nothing of the control is missing.
    const observed = treatmentShare / Math.max(controlShare, minShare / ratio);
    const found = `${formatRate(treatmentShare, limit)} of the treatment's exposures have no outcome (${treatment.unreported} of ${treatment.due} ${inLast(windowMs)})`;
    const compared = `${formatRate(controlShare, controlShare)} of the control's (${control.unreported} of ${control.due})`;
    const relation = `${breached ? '' : 'not '}above ${formatThreshold(Number(limit.toPrecision(4)))}`;
    return {
      status: breached ? 'breach' : 'ok',
      observed,
      message: `${found}, and ${compared}: ${relation}.`,
      sampleSize,
    };
  });
}

function shareOf({ due, unreported }: ExposureCounts): number {
  return unreported / due;
}
