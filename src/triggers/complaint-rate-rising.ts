import { z } from 'zod';
import type { ArmCounts, Snapshot, WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, ratioSchema } from '../support/config-schemas.js';
import { countOf, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import {
  controlOf,
  countedOf,
  type Finding,
  noVerdict,
  tooFewOutcomes,
  triggerNameSchema,
  windowTrigger,
} from './window-rule.js';

/** Options of {@link complaintRateRising}. */
export interface ComplaintRateRisingOptions extends TriggerOptions {
  /** How many times the control's complaints per counted outcome are tolerated. @default 1.5 */
  readonly ratio?: number | undefined;
  /** Fewer complaints of the treatment are no breach, whatever the control's are. @default 5 */
  readonly minComplaints?: number | undefined;
  /** How many counted outcomes each arm needs in the window before there is a verdict. @default 100 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds: complaints come late. @default 3_600_000 (1 hour) */
  readonly windowMs?: number | undefined;
}

const optionsSchema = z.strictObject({
  ratio: ratioSchema.default(1.5),
  minComplaints: countSchema.default(5),
  minOutcomes: countSchema.default(100),
  windowMs: durationMsSchema.default(3_600_000),
  name: triggerNameSchema.default('complaint-rate-rising'),
});

/**
 * Breaches when users of the treatment complain more, per counted outcome, than `ratio` times as often as those of the
 * control at the same time. With fewer than `minOutcomes` of the control in the window, the recorded control of an earlier time
 * replaces it, if there is one. A control without any complaint counts as one with a single complaint. Meant for `review`.
 *
 * Complaints come in through `guard.reportComplaint(…)` and `client.track('<flag>.complaint', …)`. They count when they
 * come, and the outcomes of the same time are what they are compared with.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function complaintRateRising(options: ComplaintRateRisingOptions = {}): ThresholdTrigger {
  const config = parseConfig(optionsSchema, options, 'complaintRateRising');
  const { ratio, minComplaints, minOutcomes, windowMs, name } = config;
  const rule = { name, windowMs, threshold: ratio, unit: 'ratio', minComplaints, minOutcomes } as const;
  return windowTrigger(rule, (window, snapshot, now) => examine(window, snapshot, now, config));
}

function examine(
  { treatment, control: current, windowMs }: WindowSnapshot,
  { baseline }: Snapshot,
  now: number,
  { ratio, minComplaints, minOutcomes }: z.infer<typeof optionsSchema>,
): Finding {
  const counted = countedOf(treatment);
  if (counted < minOutcomes) return tooFewOutcomes('complaint rate', counted, minOutcomes, windowMs);
  const control = controlOf<Pick<ArmCounts, 'successes' | 'failures' | 'complaints'>>(
    current,
    baseline?.control,
    minOutcomes,
    now,
    countedOf,
    inLast(windowMs),
  );
  if (control === undefined) {
    return noVerdict(
      'the complaint rate',
      `fewer than ${minOutcomes} outcomes of the control, now and before`,
    );
  }
  const { complaints } = control.counts;
  const rate = treatment.complaints / counted;
  const controlRate = complaints / control.size;
  // No complaint among a few hundred outcomes does not mean that the true rate is 0.
  const observed = rate / (Math.max(complaints, 1) / control.size);
  const tooHigh = observed > ratio;
  const breached = tooHigh && treatment.complaints >= minComplaints;
  const share = `${formatRate(rate, controlRate)} (${treatment.complaints} of ${counted} ${inLast(windowMs)})`;
  const compared = `${formatRate(controlRate, rate)} (${complaints} of ${control.words})`;
  const few = tooHigh && !breached ? `, but fewer than ${countOf(minComplaints, 'complaint')}` : '';
  const relation = `${tooHigh ? '' : 'not '}above ${formatThreshold(ratio)} of it${few}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed,
    message: `The treatment's complaint rate is ${share}, the control's ${compared}: ${relation}.`,
    sampleSize: { treatment: counted, control: control.size },
  };
}
