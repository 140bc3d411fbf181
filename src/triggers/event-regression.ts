import { z } from 'zod';
import type { Evidence } from '../model/snapshot.js';
import { rateOf } from '../statistics/confidence.js';
import type { UnitEvent } from '../statistics/evidence-state.js';
import { parseConfig } from '../support/config-error.js';
import { ratioSchema } from '../support/config-schemas.js';
import { countOf, formatAgo, formatCount } from '../support/wording.js';
import {
  describeDifference,
  describeEvidence,
  describeLeftOut,
  describeSince,
  describeTrials,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  figuresOf,
  points,
  rounded,
} from './evidence-rule.js';
import type { Finding } from './window-rule.js';

/** Options of the triggers that compare how often something happens in the two arms. */
export interface EventRegressionOptions extends EvidenceOptions {
  /**
   * The odds ratio, treatment to control, that is still tolerated. Where the event is rare, 1.5 tolerates about 50 % more of
   * it. @default 1
   */
  readonly ratio?: number | undefined;
  /**
   * Breach only if the rates since the harm began, of units without an earlier event, differ by at least this much as well: a
   * fraction, 0.01 is one point.
   * @default 0
   */
  readonly minDifference?: number | undefined;
}

/** Events that {@link eventRegression} compares. */
export type RegressionEvent = 'aborted' | 'expected' | 'fallback' | 'retried';

/** How one kind of event is named. */
interface EventKind {
  readonly event: UnitEvent;
  /** The function that a user calls. */
  readonly factory: string;
  readonly name: string;
  /** What outcomes do when it happens: `fails`. */
  readonly verb: string;
  readonly defaults: { readonly ratio: number; readonly minDifference: number };
}

const NONE = { ratio: 1, minDifference: 0 };

/**
 * Breaches when the treatment fails more than the control does: of the units that fail for the first time, more are in the treatment
 * than chance put there. The test stays valid however often it is evaluated: while the treatment fails no more than tolerated,
 * the chance of ever breaching in the whole rollout is at most `alpha`. A call that is still open after the settling time counts as
 * failed. At 100 %, where no control remains, it compares with what the control did before, assuming that this would not have
 * changed.
 *
 * Only units whose arm was drawn count, by the chance with which they were. `observed` is the difference of the failure rates per
 * outcome since the harm most likely began.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function failureRegression(options: EventRegressionOptions = {}): EvidenceTrigger {
  return trigger(options, {
    event: 'failure',
    factory: 'failureRegression',
    name: 'failure-regression',
    verb: 'fails',
    defaults: NONE,
  });
}

/**
 * Breaches when something else happens to the treatment's units more than to the control's, by the test of
 * {@link failureRegression}: calls that their caller `aborted` (often a caller's deadline: a hang, seen from outside), `expected`
 * errors, operations that used the `fallback`, and those that were `retried` before they succeeded.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function eventRegression(
  event: RegressionEvent,
  options: EventRegressionOptions = {},
): EvidenceTrigger {
  const parsed = parseConfig(z.object({ event: regressionEventSchema }), { event }, 'eventRegression').event;
  return trigger(options, {
    event: parsed,
    factory: 'eventRegression',
    name: `${parsed}-regression`,
    verb: VERBS[parsed],
    defaults: NONE,
  });
}

/**
 * Breaches when users of the treatment complain more, per counted outcome, than those of the control, by the test of
 * {@link failureRegression} with a tolerated odds ratio of 1.5 by default. Meant for `review`.
 *
 * Complaints come in through `guard.reportComplaint(…)` and `client.track('<flag>.complaint', …)`.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function complaintRateRising(options: EventRegressionOptions = {}): EvidenceTrigger {
  return trigger(options, {
    event: 'complaint',
    factory: 'complaintRateRising',
    name: 'complaint-rate-rising',
    verb: 'has complaints in',
    defaults: { ratio: 1.5, minDifference: 0 },
  });
}

/**
 * Breaches when the treatment leaves more evaluations without an outcome than the control does: its code hangs, was never
 * run, or a service does not register the hook or report. By the test of {@link failureRegression}. Meant for `review`.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function unreportedAbove(options: EventRegressionOptions = {}): EvidenceTrigger {
  return trigger(options, {
    event: 'unreported',
    factory: 'unreportedAbove',
    name: 'unreported-above',
    verb: 'has no outcome in',
    defaults: { ratio: 1, minDifference: 0.01 },
  });
}

const VERBS: Readonly<Record<RegressionEvent, string>> = {
  aborted: 'is given up by its callers in',
  expected: 'ends with expected errors in',
  fallback: 'uses the fallback in',
  retried: 'needs retries in',
};

const regressionEventSchema = z.enum(['aborted', 'expected', 'fallback', 'retried'], {
  error: "'aborted', 'expected', 'fallback' or 'retried'",
});

const DIFFERENCE = 'a fraction from 0 up to 1 (0.01 is one percentage point)';

function trigger(options: EventRegressionOptions, kind: EventKind): EvidenceTrigger {
  const schema = z.strictObject({
    ...evidenceFields(kind.name),
    ratio: ratioSchema.default(kind.defaults.ratio),
    minDifference: z
      .number({ error: DIFFERENCE })
      .refine((value) => value >= 0 && value < 1, { error: DIFFERENCE })
      .default(kind.defaults.minDifference),
  });
  const { alpha, ratio, minDifference, name, dryRun } = parseConfig(schema, options, kind.factory);
  return evidenceTrigger(
    { name, threshold: minDifference, unit: 'fraction', dryRun },
    { test: 'event', event: kind.event, alpha, ratio, minDifference },
    (evidence, _snapshot, now) => examine(kind, evidence, minDifference, alpha, now),
  );
}

function examine(
  { verb }: EventKind,
  evidence: Evidence,
  minDifference: number,
  alpha: number,
  now: number,
): Finding {
  const { counts, breached, frozen, logE, logThreshold, events } = evidence;
  const since = comparable(evidence);
  if (counts.treatment.trials === 0 || counts.control.trials === 0 || (frozen?.maxRate ?? 0) >= 1) {
    return { status: 'insufficient-data', message: describeMissing(evidence) };
  }
  const { treatment, control } = since.counts;
  const observed = rateOf(treatment) - rateOf(control);
  const message = () => {
    const found = `${describeSince(since, now)} the treatment ${verb} ${describeTrials(treatment)}, the ${frozen === undefined ? '' : 'earlier '}control ${describeTrials(control)}`;
    const units = `${countOf(events, 'unit')} with a first event`;
    const baseline =
      frozen === undefined
        ? ''
        : ` No control remains: up to ${rounded(frozen.maxRate * 100)} % is tolerated, from the control as it was until ${formatAgo(now - frozen.at)}, assuming that it would not have changed.`;
    const figures = `${describeEvidence(evidence, logThreshold, alpha)} (${units})`;
    if (breached) return `${found}: ${describeDifference(since.counts)}; ${figures}.${baseline}`;
    const relation =
      logE >= logThreshold
        ? `the difference is below the ${points(minDifference)} points of minDifference`
        : 'no regression shown';
    return `${found}: ${relation}; ${figures}.${baseline}`;
  };
  const figures = figuresOf(evidence, alpha, 'units', { logE, since });
  return { status: breached ? 'breach' : 'ok', observed, message, evidence: figures };
}

/**
 * Complaints come at times of their own: since the harm began, there may be more of them than outcomes, of which they are no share. Then
 * the whole rollout has the rates.
 */
function comparable({ since, counts }: Evidence): Evidence['since'] {
  const { treatment, control } = since.counts;
  const isShare = treatment.failures <= treatment.trials && control.failures <= control.trials;
  return isShare && treatment.trials > 0 ? since : { at: undefined, counts };
}

function describeMissing(evidence: Evidence): string {
  const { frozen, counts } = evidence;
  if (frozen !== undefined) {
    return `No verdict: no control remains, and the ${countOf(frozen.counts.trials, 'outcome')} of the earlier control are too few.`;
  }
  const sizes = `${countOf(counts.treatment.trials, 'outcome')} of the treatment and ${formatCount(counts.control.trials)} of the control`;
  return `No verdict yet: the test has ${sizes}.${describeLeftOut(evidence)}`;
}
