import { z } from 'zod';
import type { ControlReference } from '../model/baseline.js';
import type { Snapshot, WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, ratioSchema } from '../support/config-schemas.js';
import { countOf, formatRate, formatThreshold, inLast } from '../support/wording.js';
import type { ThresholdTrigger } from './trigger.js';
import {
  countedOf,
  describeReference,
  evaluateWindow,
  type Finding,
  tooFewOutcomes,
  triggerNameSchema,
} from './window-rule.js';

export interface ComplaintRateRisingOptions {
  /** How many times the control's complaints per counted outcome are tolerated. @default 1.5 */
  readonly ratio?: number | undefined;
  /** Fewer complaints of the treatment are no breach, whatever the control's are. @default 5 */
  readonly minComplaints?: number | undefined;
  /** How many counted outcomes each arm needs in the window before there is a verdict. @default 100 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds: complaints come late. @default 3_600_000 (1 hour) */
  readonly windowMs?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default 'complaint-rate-rising' */
  readonly name?: string | undefined;
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
  const rule = { name, windowMs, threshold: ratio, unit: 'ratio' } as const;
  return Object.freeze({
    ...rule,
    minComplaints,
    minOutcomes,
    evaluate: (snapshot: Snapshot, now: number) =>
      evaluateWindow(rule, snapshot, now, (window) => examine(window, snapshot, now, config)),
  });
}

function examine(
  window: WindowSnapshot,
  snapshot: Snapshot,
  now: number,
  { ratio, minComplaints, minOutcomes }: z.infer<typeof optionsSchema>,
): Finding {
  const { treatment, windowMs } = window;
  const counted = countedOf(treatment);
  if (counted < minOutcomes) return tooFewOutcomes('complaint rate', counted, minOutcomes, windowMs);
  const control = controlOf(window, snapshot.baseline?.control, minOutcomes, now);
  if (control === undefined) {
    const message = `No verdict on the complaint rate yet: fewer than ${minOutcomes} outcomes of the control, now and before.`;
    return { status: 'insufficient-data', message };
  }
  const rate = treatment.complaints / counted;
  const controlRate = control.complaints / control.counted;
  // No complaint among a few hundred outcomes does not mean that the true rate is 0.
  const observed = rate / (Math.max(control.complaints, 1) / control.counted);
  const tooHigh = observed > ratio;
  const breached = tooHigh && treatment.complaints >= minComplaints;
  const share = `${formatRate(rate, controlRate)} (${treatment.complaints} of ${counted} ${inLast(windowMs)})`;
  const compared = `${formatRate(controlRate, rate)} (${control.complaints} of ${control.words})`;
  const few = tooHigh && !breached ? `, but fewer than ${countOf(minComplaints, 'complaint')}` : '';
  const relation = `${tooHigh ? '' : 'not '}above ${formatThreshold(ratio)} of it${few}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed,
    message: `The treatment's complaint rate is ${share}, the control's ${compared}: ${relation}.`,
    sampleSize: { treatment: counted, control: control.counted },
  };
}

/** What the treatment is compared with. */
interface Control {
  readonly complaints: number;
  readonly counted: number;
  readonly words: string;
}

function controlOf(
  { control, windowMs }: WindowSnapshot,
  recorded: ControlReference | undefined,
  minOutcomes: number,
  now: number,
): Control | undefined {
  const counted = countedOf(control);
  if (counted >= minOutcomes) {
    return { complaints: control.complaints, counted, words: `${counted} ${inLast(windowMs)}` };
  }
  if (recorded === undefined) return undefined;
  const size = countedOf(recorded);
  if (size < minOutcomes) return undefined;
  const words = describeReference(recorded, size, now);
  return { complaints: recorded.complaints, counted: size, words };
}
