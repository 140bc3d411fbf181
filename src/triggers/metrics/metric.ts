import { z } from 'zod';
import type { Evidence, MetricFigures } from '../../model/snapshot.js';
import { rateOf } from '../../statistics/confidence.js';
import type { MetricDefinition, MetricRequest } from '../../statistics/metrics/metric-request.js';
import { parseConfig } from '../../support/config-error.js';
import { durationMsSchema } from '../../support/config-schemas.js';
import { countOf, formatAgo, formatDuration } from '../../support/wording.js';
import {
  describeDifference,
  describeEvidence,
  describeSince,
  describeTrials,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  figuresOf,
  points,
  rounded,
} from '../evidence-rule.js';
import type { Finding } from '../window-rule.js';

/** Options of every {@link metric}. */
interface CommonMetricOptions extends EvidenceOptions {
  /** Which values are good. There is no default: the wrong one would stop what works. */
  readonly direction: 'higher-is-better' | 'lower-is-better';
  /**
   * How long after a unit's evaluation its events count, in milliseconds. A unit is compared when this time is over, so a breach takes
   * at least as long. @default 1_800_000 (30 minutes)
   */
  readonly withinMs?: number | undefined;
}

/** Options of a {@link metric} of whether units did something at all. */
export interface ConversionMetricOptions extends CommonMetricOptions {
  /** Counts units with at least one such event. */
  readonly kind: 'conversion';
  /**
   * Breach only if the rates since the harm began differ by at least this much as well: a fraction, 0.01 is one point.
   * @default 0
   */
  readonly minDifference?: number | undefined;
}

/** Options of a {@link metric} of the `value` of an event: each unit's first one. */
export interface NumericMetricOptions extends CommonMetricOptions {
  /** Compares the values of the event. */
  readonly kind: 'numeric';
  /** By how much the treatment's values may be worse, in their own unit. @default 0 */
  readonly minDifference?: number | undefined;
  /** A lower value makes no sense and is left out. @default 0 */
  readonly min?: number | undefined;
}

/** Options of a {@link metric} of one event for each of another, added up by unit. */
export interface RatioMetricOptions extends CommonMetricOptions {
  /** Compares how many events there are for each of another kind. */
  readonly kind: 'ratio';
  /** The event to divide by. Each counts for its `value`, 1 without one; a unit without any says nothing. */
  readonly per: string;
  /** By how much the treatment's ratios may be worse. @default 0 */
  readonly minDifference?: number | undefined;
}

/** Options of {@link metric}. */
export type MetricOptions = ConversionMetricOptions | NumericMetricOptions | RatioMetricOptions;

const EVENT = "an event's name as the application tracks it, at most 256 characters";
const DIRECTION = "'higher-is-better' or 'lower-is-better'";
const KIND = "'conversion', 'numeric' or 'ratio'";
const NAME = 'a name for the trigger in its options: the event has no letters or digits';
const SHARE = 'a fraction from 0 up to 1 (0.01 is one percentage point)';
const DIFFERENCE = 'a number of 0 or more, in the unit of the values';
const NUMBER = 'a number';
const WITHIN_MS = 1_800_000;

const event = z
  .string({ error: EVENT })
  .refine((name) => name.trim() !== '' && name.length <= 256, { error: EVENT });
const difference = z
  .number({ error: DIFFERENCE })
  .refine((value) => value >= 0 && Number.isFinite(value), { error: DIFFERENCE })
  .default(0);

const schemaOf = (name: string) => {
  const fields = {
    ...evidenceFields(name),
    direction: z.enum(['higher-is-better', 'lower-is-better'], { error: DIRECTION }),
    withinMs: durationMsSchema.default(WITHIN_MS),
  };
  const share = z
    .number({ error: SHARE })
    .refine((value) => value >= 0 && value < 1, { error: SHARE })
    .default(0);
  const min = z.number({ error: NUMBER }).refine(Number.isFinite, { error: NUMBER }).default(0);
  return z
    .object({
      event,
      options: z.discriminatedUnion(
        'kind',
        [
          z.strictObject({ kind: z.literal('conversion'), ...fields, minDifference: share }),
          z.strictObject({ kind: z.literal('numeric'), ...fields, minDifference: difference, min }),
          z.strictObject({ kind: z.literal('ratio'), ...fields, minDifference: difference, per: event }),
        ],
        { error: KIND },
      ),
    })
    .superRefine(({ event, options }, context) => {
      if (options.kind !== 'ratio' || options.per !== event) return;
      context.addIssue({
        code: 'custom',
        path: ['options', 'per'],
        message: 'another event than the metric itself',
      });
    });
};

/**
 * Breaches when a metric of the application's own is worse for the treatment's units than for the control's, by the test of
 * `failureRegression`. Its events come from `client.track('<event>', { targetingKey }, { value })`; their names are the application's, and
 * one event may feed the guards of several flags.
 *
 * - `conversion`: whether a unit has the event within `withinMs` of its evaluation.
 * - `numeric`: the `value` of its first event in that time. A unit without one says nothing; compare conversions as well.
 * - `ratio`: all events in that time, divided by those of `per`.
 *
 * Values are compared with quantiles of the control's, so that a single enormous one moves nothing. A metric that is never tracked, or of
 * which too little is known, has no data: it is never zero.
 *
 * @param event - The name of the event.
 * @throws ConfigError that lists everything that is wrong.
 */
export function metric(event: string, options: MetricOptions): EvidenceTrigger {
  const own = slugOf(event);
  const config = parseConfig(schemaOf(own ?? 'metric'), { event, options }, 'metric');
  const { name, dryRun, alpha, direction, minDifference } = config.options;
  if (own === undefined && options.name === undefined) {
    parseConfig(z.object({ name: z.string({ error: NAME }) }), {}, 'metric');
  }
  const request: MetricRequest = {
    test: 'metric',
    alpha,
    metric: definitionOf(config.event, config.options),
    direction,
    minDifference,
  };
  const unit = request.metric.kind === 'conversion' ? 'fraction' : 'none';
  const rule = { name, threshold: minDifference, unit, dryRun } as const;
  return evidenceTrigger(rule, request, (evidence, { flagKey }, now) =>
    examine(request, evidence, flagKey, now),
  );
}

function definitionOf(
  event: string,
  options: z.infer<ReturnType<typeof schemaOf>>['options'],
): MetricDefinition {
  const { kind, withinMs } = options;
  if (kind === 'conversion') return Object.freeze({ kind, event, withinMs });
  if (kind === 'numeric') return Object.freeze({ kind, event, withinMs, min: options.min });
  return Object.freeze({ kind, event, per: options.per, withinMs });
}

/** `Checkout Completed` as `checkout-completed`; undefined where nothing is left. */
function slugOf(event: unknown): string | undefined {
  if (typeof event !== 'string') return undefined;
  const slug = event
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return slug === '' ? undefined : slug;
}

function examine(request: MetricRequest, evidence: Evidence, flagKey: string, now: number): Finding {
  const missing = missingOf(request, evidence, flagKey);
  if (missing !== undefined) {
    const { event } = request.metric;
    return {
      status: 'insufficient-data',
      message: `No verdict on ${event}: ${missing}.${leftOut(evidence.metric!)}`,
    };
  }
  const { breached, logE, logThreshold, events, frozen } = evidence;
  const metric = evidence.metric!;
  const message = () => {
    const baseline =
      frozen === undefined
        ? ''
        : ` No control remains: it is compared with the control as it was until ${formatAgo(now - frozen.at)}, assuming that it would not have changed.`;
    const claim = breached
      ? describeDifference(evidence.since.counts)
      : logE >= logThreshold
        ? `the difference is below the ${points(request.minDifference)} points of minDifference`
        : 'not shown to be worse';
    const figures = `${describeEvidence(evidence, logThreshold, request.alpha)} (${countOf(events, 'unit')} with a first event)`;
    return `${describeSince(evidence.since, now)} ${describe(request, evidence)}: ${claim}; ${figures}.${baseline}${leftOut(metric)}`;
  };
  return {
    status: breached ? 'breach' : 'ok',
    observed: observedOf(request, evidence),
    message,
    evidence: figuresOf(evidence, request.alpha),
  };
}

/** Why nothing can be said of the metric; undefined when something can. */
function missingOf(
  { metric: definition }: MetricRequest,
  { metric, frozen, counts, excluded }: Evidence,
  flagKey: string,
): string | undefined {
  const { kind, event } = definition;
  const { tracked, unattributed, invalid, arms, compared } = metric!;
  const names = kind === 'ratio' ? `${event} or ${definition.per}` : event;
  const time = formatDuration(definition.withinMs);
  if (tracked === 0) return `${names} was never tracked`;
  if (unattributed + invalid >= tracked) {
    const rest = unattributed > 0 ? `: track with the targeting key with which ${flagKey} was evaluated` : '';
    return `none of the ${countOf(tracked, 'event')} could be used${rest}`;
  }
  const { treatment, control } = arms;
  const size = `${countOf(treatment.trials, 'unit')} of the treatment and ${control.trials} of the control`;
  if (treatment.trials === 0 || (control.trials === 0 && frozen === undefined)) {
    const undrawn = excluded > 0 && treatment.trials + control.trials === 0;
    return `${size} are over the ${time} after their evaluation${undrawn ? ', and arms that were not drawn do not count' : ''}`;
  }
  const hasConverted = [treatment, control].some(({ value }) => value !== undefined && value > 0);
  if (kind === 'conversion' && !hasConverted) return `none of the ${size} has it within ${time}`;
  if (compared === undefined || counts.treatment.trials === 0 || counts.control.trials === 0) {
    return `${size} have a value, and the control needs 100 to compare with`;
  }
  return (frozen?.maxRate ?? 0) >= 1 ? 'no control remains, and the earlier one was too small' : undefined;
}

/** What both arms did, in the words of the metric. */
function describe(
  { metric: { kind, event, ...definition }, direction, minDifference }: MetricRequest,
  evidence: Evidence,
): string {
  const { counts } = evidence.since;
  const { arms, compared } = evidence.metric!;
  const control = evidence.frozen === undefined ? 'the control' : 'the earlier control';
  const isGoodMissing = direction === 'higher-is-better';
  if (kind === 'conversion') {
    const share = ({ trials, failures }: typeof counts.treatment) =>
      describeTrials({ trials, failures: isGoodMissing ? trials - failures : failures });
    return `${share(counts.treatment)} of the treatment's units have ${event} within ${formatDuration(definition.withinMs)}, ${share(counts.control)} of ${control}'s`;
  }
  const { role, quantile = 0, limit } = compared!;
  const isBelow = isGoodMissing === (role === 'worse');
  const tolerated = isGoodMissing ? limit - minDifference : limit + minDifference;
  const named = (value: number) =>
    `${role === 'worse' ? '' : 'not '}${isBelow ? 'below' : 'above'} ${rounded(value)}`;
  const medians = `the median of ${event} is ${shown(arms.treatment.value)} in the treatment and ${shown(arms.control.value)} in ${control}`;
  const bad = `${describeTrials(counts.treatment)} of the treatment's units are ${named(tolerated)} and ${describeTrials(counts.control)} of ${control}'s ${named(limit)}`;
  return `${medians}, ${bad} (the control's p${rounded(quantile * 100)})`;
}

/** How much worse the treatment is: of rates since the harm began, otherwise of medians. */
function observedOf(
  { metric: { kind }, direction }: MetricRequest,
  { since, metric }: Evidence,
): number | undefined {
  if (kind === 'conversion') return rateOf(since.counts.treatment) - rateOf(since.counts.control);
  const { treatment, control } = metric!.arms;
  if (treatment.value === undefined || control.value === undefined) return undefined;
  const difference = control.value - treatment.value;
  return direction === 'higher-is-better' ? difference : 0 - difference;
}

function leftOut({ unattributed, invalid }: MetricFigures): string {
  const parts = [
    ...(unattributed > 0
      ? [`${countOf(unattributed, 'event')} of users of whom no evaluation is known`]
      : []),
    ...(invalid > 0 ? [`${countOf(invalid, 'event')} with an invalid value`] : []),
  ];
  return parts.length === 0 ? '' : ` Left out: ${parts.join(', ')}.`;
}

function shown(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(rounded(value));
}
