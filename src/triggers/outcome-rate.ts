import { z } from 'zod';
import type { Verdict } from '../model/shapes.js';
import type { Evidence, Snapshot, WindowSnapshot } from '../model/snapshot.js';
import { rateOf } from '../statistics/confidence.js';
import type { LimitRequest } from '../statistics/evidence-state.js';
import { parseConfig } from '../support/config-error.js';
import {
  alphaSchema,
  booleanSchema,
  countSchema,
  durationMsSchema,
  rateSchema,
} from '../support/config-schemas.js';
import { countOf, formatCount, formatRate, formatThreshold, formatTime, inLast } from '../support/wording.js';
import { basisOf, type Fault, faultOf } from './blame.js';
import {
  describeEvidence,
  describeSince,
  describeTrials,
  type EvidenceOptions,
  evidenceOf,
  figuresOf,
} from './evidence-rule.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import {
  countedOf,
  type Finding,
  noVerdict,
  tooFewOutcomes,
  triggerFields,
  windowTrigger,
} from './window-rule.js';

/** Options of the triggers that compare a rate within a sliding window with a limit. */
export interface OutcomeRateOptions extends TriggerOptions {
  /**
   * `point`: the rate as it stands in the window. `sequential`: see {@link SequentialRateOptions}. @default 'point'
   */
  readonly evidence?: 'point' | undefined;
  /**
   * How many counted outcomes of the treatment the window needs. With fewer, the last 20 outcomes are evaluated instead, at most a
   * day old; with `strict` there is no verdict. @default 20
   */
  readonly minOutcomes?: number | undefined;
  /** The sliding window, in milliseconds. @default 300_000 (5 minutes) */
  readonly windowMs?: number | undefined;
  /**
   * The bare rule: breaches when the rate in the window is beyond the limit, by chance or not, and whoever's fault it is.
   * @default false
   */
  readonly strict?: boolean | undefined;
  /**
   * Unless `strict`, the chance that a sequential test of the same limit ever agrees in a rollout that is within it; above 0, below
   * 0.5. @default 0.02
   */
  readonly alpha?: number | undefined;
}

/** Options of a rate trigger that rests on a sequential test alone. */
export interface SequentialRateOptions extends EvidenceOptions {
  /**
   * Breaches when the rate is shown to be beyond the limit, by a test that stays valid however often it is evaluated, from the first
   * outcome on: while the rate is within the limit, the chance of ever breaching in the whole rollout is at most `alpha`.
   */
  readonly evidence: 'sequential';
  /** Breaches whoever's fault it is. @default false: only if the control of the same minutes fails less */
  readonly strict?: boolean | undefined;
}

/** A trigger on the treatment's success or error rate. */
export interface OutcomeRateTrigger extends ThresholdTrigger {
  /** How many counted outcomes of the treatment the window needs; absent for a sequential rule. */
  readonly minOutcomes?: number | undefined;
  /** Absent with `strict`, and for limits of 0 and 1. */
  readonly evidence?: LimitRequest | undefined;
}

/** Makes a trigger for a rate; `evidence` chooses the rule. */
export type RateTriggerFactory = (
  rate: number,
  options?: OutcomeRateOptions | SequentialRateOptions,
) => OutcomeRateTrigger;

/** What distinguishes one rate trigger from the other. */
interface RateKind {
  /** The function that a user calls. */
  readonly factory: string;
  readonly name: string;
  readonly rate: 'success' | 'error';
  readonly relation: 'below' | 'above';
}

/** A rule that has been checked. */
interface RateRule extends RateKind {
  readonly threshold: number;
  readonly maxFailureRate: number;
  readonly minOutcomes: number;
  readonly windowMs: number;
  readonly alpha: number;
  readonly strict: boolean;
}

const LIMIT = 'a fraction above 0 and below 1: a sequential test cannot use 0 and 1';
/** The minutes in which the control is compared, for a rule without a window. */
const COMPARED_MS = 300_000;

/** The factory of one kind of rate trigger. The triggers of both kinds mirror each other. */
export function rateTriggerFactory(kind: RateKind): RateTriggerFactory {
  return (rate, options = {}) =>
    options?.evidence === 'sequential'
      ? sequentialRateTrigger(kind, rate, options)
      : pointRateTrigger(kind, rate, options as OutcomeRateOptions);
}

function pointRateTrigger(kind: RateKind, rate: number, given: OutcomeRateOptions): OutcomeRateTrigger {
  const schema = z.strictObject({
    rate: rateSchema,
    options: z.strictObject({
      minOutcomes: countSchema.default(20),
      windowMs: durationMsSchema.default(300_000),
      ...triggerFields(kind.name),
      evidence: z.literal('point', { error: "'point' or 'sequential'" }).optional(),
      strict: booleanSchema.default(false),
      alpha: alphaSchema.default(0.02),
    }),
  });
  const { rate: threshold, options } = parseConfig(schema, { rate, options: given }, kind.factory);
  const { minOutcomes, windowMs, name, dryRun, alpha, strict } = options;
  const maxFailureRate = failureRateOf(kind, threshold);
  const rule: RateRule = { ...kind, name, threshold, maxFailureRate, minOutcomes, windowMs, alpha, strict };
  // No test can say that a rate is beyond 0 or 1 by chance: any failure is too many, or none is.
  const isTested = !strict && maxFailureRate > 0 && maxFailureRate < 1;
  return windowTrigger(
    {
      name,
      windowMs,
      threshold,
      unit: 'fraction',
      rate: kind.rate,
      dryRun,
      minOutcomes,
      ...(isTested && { evidence: Object.freeze({ test: 'limit', alpha, maxFailureRate } as const) }),
    },
    (window, snapshot, now) => examinePoint({ ...rule, strict: !isTested }, window, snapshot, now),
  );
}

function examinePoint(rule: RateRule, window: WindowSnapshot, snapshot: Snapshot, now: number): Finding {
  const { rate, relation, threshold, maxFailureRate, minOutcomes, windowMs, strict } = rule;
  const sample = sampleOf(rule, window, snapshot, now);
  if (sample === undefined) {
    return tooFewOutcomes(`${rate} rate`, countedOf(window.treatment), minOutcomes, windowMs);
  }
  const { trials, failures, words } = sample;
  const count = rate === 'success' ? trials - failures : failures;
  const observed = count / trials;
  const isBeyond = relation === 'below' ? observed < threshold : observed > threshold;
  const share = `${formatRate(observed, threshold)} (${formatCount(count)} of ${formatCount(trials)} ${words})`;
  const found = `The treatment's ${rate} rate is ${share}, ${isBeyond ? '' : 'not '}${relation} ${formatThreshold(threshold)}`;
  const sampleSize = { treatment: trials, control: countedOf(window.control) };
  if (!isBeyond || strict) {
    return { status: isBeyond ? 'breach' : 'ok', observed, message: `${found}.`, sampleSize };
  }
  const evidence = evidenceOf(snapshot, rule.name);
  if (evidence === undefined) return noVerdict(`the ${rate} rate`, 'the store gathers no evidence for it');
  const basis = basisOf(window);
  const agreed = basis === 'units' ? evidence.breached : evidence.byOutcomes!.breached;
  if (!agreed) {
    const message = `${found}; this may be chance so far.`;
    return { status: 'ok', observed, message, sampleSize, blame: 'unproven' };
  }
  const fault = faultOf(window, snapshot, maxFailureRate);
  return {
    ...finding(fault, found, window, evidence, rule),
    observed,
    sampleSize,
  };
}

/** What the rule evaluates: the window, or the last 20 outcomes where it has too few. */
function sampleOf(
  { minOutcomes, windowMs, strict }: RateRule,
  { treatment }: WindowSnapshot,
  { recent }: Snapshot,
  now: number,
): { readonly trials: number; readonly failures: number; readonly words: string } | undefined {
  const trials = countedOf(treatment);
  if (trials >= minOutcomes) return { trials, failures: treatment.failures, words: inLast(windowMs) };
  if (strict || recent.trials < Math.min(minOutcomes, 20) || recent.trials < trials) return undefined;
  return { ...recent, words: `since ${formatTime(recent.since ?? now, now)}` };
}

function sequentialRateTrigger(
  kind: RateKind,
  rate: number,
  given: SequentialRateOptions,
): OutcomeRateTrigger {
  const schema = z.strictObject({
    rate: rateSchema.refine((value) => !(value === 0 || value === 1), { error: LIMIT }),
    options: z.strictObject({
      evidence: z.literal('sequential'),
      strict: booleanSchema.default(false),
      alpha: alphaSchema.default(0.05),
      ...triggerFields(kind.name),
    }),
  });
  const { rate: threshold, options } = parseConfig(schema, { rate, options: given }, kind.factory);
  const { alpha, name, dryRun, strict } = options;
  const maxFailureRate = failureRateOf(kind, threshold);
  const rule: RateRule = {
    ...kind,
    name,
    threshold,
    maxFailureRate,
    minOutcomes: 1,
    windowMs: COMPARED_MS,
    alpha,
    strict,
  };
  return windowTrigger(
    {
      name,
      windowMs: COMPARED_MS,
      threshold,
      unit: 'fraction',
      rate: kind.rate,
      dryRun,
      evidence: Object.freeze({ test: 'limit', alpha, maxFailureRate } as const),
    },
    (window, snapshot, now) => examineSequential(rule, window, snapshot, now),
  );
}

function examineSequential(rule: RateRule, window: WindowSnapshot, snapshot: Snapshot, now: number): Finding {
  const { rate, relation, threshold, maxFailureRate, strict, alpha } = rule;
  const evidence = evidenceOf(snapshot, rule.name);
  if (evidence === undefined) return noVerdict(`the ${rate} rate`, 'the store gathers no evidence for it');
  const basis = basisOf(window);
  const gathered = basis === 'units' ? evidence : evidence.byOutcomes!;
  const { treatment } = gathered.since.counts;
  if (evidence.counts.treatment.trials === 0) {
    return noVerdict(`the ${rate} rate`, 'the test has no outcome of the treatment');
  }
  const failureRate = rateOf(treatment);
  const observed = rate === 'error' ? failureRate : 1 - failureRate;
  const sampleSize = { treatment: treatment.trials, control: countedOf(window.control) };
  const found = () =>
    `${describeSince(gathered.since, now)} the treatment fails ${describeTrials(treatment)}: the ${rate} rate is ${gathered.breached ? '' : 'not shown to be '}${relation} ${formatThreshold(threshold)}`;
  if (!gathered.breached) {
    const message = () => `${found()}; ${describeEvidence(gathered, evidence.logThreshold, alpha)}.`;
    return {
      status: 'ok',
      observed,
      message,
      sampleSize,
      evidence: figuresOf(evidence, alpha, basis, gathered),
    };
  }
  if (!strict && !isBrokenNow(rule, window, snapshot)) {
    const message = () => `${found()} all in all, but not by its latest outcomes.`;
    return { status: 'ok', observed, message, sampleSize, blame: 'unproven' };
  }
  const fault: Fault = strict ? { blame: 'treatment', basis } : faultOf(window, snapshot, maxFailureRate);
  return { ...finding(fault, found(), window, evidence, rule), observed, sampleSize };
}

/**
 * Whether the latest outcomes break the limit too. The test remembers the whole rollout: after an outage that both arms shared, it would
 * blame the treatment as soon as no control of the same minutes is left to compare with.
 */
function isBrokenNow(
  { maxFailureRate }: RateRule,
  { treatment }: WindowSnapshot,
  { recent }: Snapshot,
): boolean {
  const trials = countedOf(treatment);
  const latest = trials >= recent.trials ? { trials, failures: treatment.failures } : recent;
  return rateOf(latest) > maxFailureRate;
}

/** The limit is broken beyond chance: whose fault is it? */
function finding(
  { blame, basis }: Fault,
  found: string,
  { settled, units }: WindowSnapshot,
  evidence: Evidence,
  { alpha }: RateRule,
): Finding {
  const gathered = basis === 'units' ? evidence : evidence.byOutcomes!;
  const message = () => {
    const restsOn =
      basis === 'units'
        ? 'by first failures of units'
        : `by outcomes, of ${countOf(units, 'unit')} in the window`;
    const compared = `the control of the same minutes fails ${describeTrials(settled.control)}`;
    const figures = `${describeEvidence(gathered, evidence.logThreshold, alpha)}, ${restsOn}`;
    switch (blame) {
      case 'treatment':
        return `${found}${settled.control.trials === 0 ? '' : `, while ${compared}`}; ${figures}.`;
      case 'shared':
        return `${found}, but ${compared}, and the treatment is not worse by more than chance: a shared outage.`;
      case 'unproven':
        return `${found}; not yet shown to be worse than the control: ${compared}.`;
    }
  };
  const status: Verdict['status'] = blame === 'treatment' ? 'breach' : 'ok';
  return { status, message, blame, evidence: figuresOf(evidence, alpha, basis, gathered) };
}

function failureRateOf({ rate }: RateKind, threshold: number): number {
  // Without the rounding of 1 − 0.95, mirror images share one test.
  return rate === 'error' ? threshold : Number((1 - threshold).toPrecision(12));
}
