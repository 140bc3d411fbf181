import { z } from 'zod';
import type { ControlReference, Snapshot, WindowSnapshot } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema } from '../support/config-schemas.js';
import { countOf, formatRate, formatThreshold, inLast } from '../support/wording.js';
import { describeReference } from './control-reference.js';
import { ratioSchema } from './evidence-options.js';
import type { Trigger } from './trigger.js';
import { countedOf, evaluateWindow, type Finding, triggerNameSchema } from './window-rule.js';

export interface ComplaintRateRisingOptions {
  /** How many times the control's complaints per judged outcome are tolerated. @default 1.5 */
  readonly ratio?: number | undefined;
  /** Fewer complaints of the treatment are no breach, whatever the control's are. @default 5 */
  readonly minComplaints?: number | undefined;
  /** How many judged outcomes each arm needs in the window before anything is said. @default 100 */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds: people complain late. @default 3_600_000 (1 hour) */
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
 * Breaches when users of the treatment complain more, per judged outcome, than `ratio` times as often as those of the
 * control at the same time. With fewer than `minOutcomes` of the control in the window, the recorded control of an earlier time
 * takes its place, if there is one. A control without any complaint is taken to have had one. Meant for `review`.
 *
 * Complaints come in through `guard.reportComplaint(…)` and `client.track('<flag>.complaint', …)`. They count when they
 * come, and the outcomes of the same time are what they are compared with.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function complaintRateRising(options: ComplaintRateRisingOptions = {}): Trigger {
  const config = parseConfig(optionsSchema, options, 'complaintRateRising');
  const { ratio, minComplaints, minOutcomes, windowMs, name } = config;
  return Object.freeze({
    name,
    windowMs,
    threshold: ratio,
    unit: 'ratio',
    minComplaints,
    minOutcomes,
    evaluate: (snapshot, now) =>
      evaluateWindow({ name, windowMs, threshold: ratio, unit: 'ratio' }, snapshot, now, (window) =>
        examine(window, snapshot, now, config),
      ),
  } satisfies Trigger & { threshold: number; minComplaints: number; minOutcomes: number });
}

function examine(
  window: WindowSnapshot,
  snapshot: Snapshot,
  now: number,
  { ratio, minComplaints, minOutcomes }: z.infer<typeof optionsSchema>,
): Finding {
  const { treatment, windowMs } = window;
  const judged = countedOf(treatment);
  if (judged < minOutcomes) {
    return notYet(
      `${countOf(judged, 'outcome')} of the treatment ${inLast(windowMs)}, ${minOutcomes} needed`,
    );
  }
  const control = controlOf(window, snapshot.baseline?.control, minOutcomes, now);
  if (control === undefined) {
    return notYet(`fewer than ${minOutcomes} outcomes of the control, now and before`);
  }
  const rate = treatment.complaints / judged;
  const controlRate = control.complaints / control.judged;
  // No complaint among some hundred outcomes does not mean that nobody ever complains.
  const observed = rate / (Math.max(control.complaints, 1) / control.judged);
  const tooHigh = observed > ratio;
  const breached = tooHigh && treatment.complaints >= minComplaints;
  const share = `${formatRate(rate, controlRate)} (${treatment.complaints} of ${judged} ${inLast(windowMs)})`;
  const compared = `${formatRate(controlRate, rate)} (${control.complaints} of ${control.words})`;
  const few = tooHigh && !breached ? `, but fewer than ${countOf(minComplaints, 'complaint')}` : '';
  const relation = `${tooHigh ? '' : 'not '}above ${formatThreshold(ratio)} of it${few}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed,
    message: `The treatment's complaint rate is ${share}, the control's ${compared}: ${relation}.`,
    sampleSize: { treatment: judged, control: control.judged },
  };
}

/** What the treatment is compared with. */
interface Control {
  readonly complaints: number;
  readonly judged: number;
  readonly words: string;
}

function controlOf(
  { control, windowMs }: WindowSnapshot,
  recorded: ControlReference | undefined,
  minOutcomes: number,
  now: number,
): Control | undefined {
  const judged = countedOf(control);
  if (judged >= minOutcomes) {
    return { complaints: control.complaints, judged, words: `${judged} ${inLast(windowMs)}` };
  }
  if (recorded === undefined) return undefined;
  const size = countedOf(recorded);
  if (size < minOutcomes) return undefined;
  const words = describeReference(recorded, size, now);
  return { complaints: recorded.complaints, judged: size, words };
}

function notYet(why: string): Finding {
  return { status: 'insufficient-data', message: `Complaints are not compared yet: ${why}.` };
}
