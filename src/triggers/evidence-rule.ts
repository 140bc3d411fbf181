import type { Trials, Verdict, VerdictEvidence } from '../model/shapes.js';
import type { Evidence, Snapshot, TrialsSince } from '../model/snapshot.js';
import { rateOf } from '../statistics/confidence.js';
import type { EvidenceRequest } from '../statistics/evidence-state.js';
import { alphaSchema } from '../support/config-schemas.js';
import { countOf, formatCount, formatThreshold, formatTime } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { type Finding, NO_SAMPLE, type Rule, triggerFields, verdictOf } from './window-rule.js';

/** Options of every trigger that rests on a sequential test. */
export interface EvidenceOptions extends TriggerOptions {
  /**
   * The chance of ever breaching within the whole rollout, through all its percentages, while all is well, however often the trigger
   * is evaluated; above 0, below 0.5.
   * @default 0.05
   */
  readonly alpha?: number | undefined;
}

/** A trigger that rests on a sequential test. */
export interface EvidenceTrigger extends ThresholdTrigger {
  readonly evidence: EvidenceRequest;
}

/** The fields of {@link EvidenceOptions}. */
export const evidenceFields = (name: string, alpha = 0.05) => ({
  alpha: alphaSchema.default(alpha),
  ...triggerFields(name),
});

/** JSON has no infinity. */
const LARGEST_E = 1e300;

/** The trigger of a rule on the evidence of one test. */
export function evidenceTrigger(
  { name, threshold, unit, rate, dryRun }: Omit<Rule, 'windowMs'>,
  evidence: EvidenceRequest,
  examine: (evidence: Evidence, snapshot: Snapshot, now: number) => Finding,
): EvidenceTrigger {
  const rule = { name, windowMs: 0, threshold, unit, rate, dryRun };
  return Object.freeze({
    ...rule,
    evidence: Object.freeze(evidence),
    evaluate(snapshot: Snapshot, now: number): Verdict {
      const gathered = evidenceOf(snapshot, name);
      if (gathered === undefined) return verdictOf(rule, NOTHING_GATHERED, NO_SAMPLE, snapshot, now);
      const { treatment, control } = gathered.counts;
      const sampleSize = { treatment: treatment.trials, control: control.trials };
      return verdictOf(rule, examine(gathered, snapshot, now), sampleSize, snapshot, now);
    },
  });
}

/** What the store has gathered for a trigger. */
export function evidenceOf({ evidence }: Snapshot, trigger: string): Evidence | undefined {
  return evidence?.find((each) => each.trigger === trigger);
}

const NOTHING_GATHERED: Finding = {
  status: 'insufficient-data',
  message: 'No verdict: the store gathers no evidence for this trigger.',
};

/** The figures of a verdict. @param control - The control beside a limit, which its test does not see. */
export function figuresOf(
  evidence: Evidence,
  alpha: number,
  basis: VerdictEvidence['basis'] = 'units',
  { logE, since }: Pick<Evidence, 'logE' | 'since'> = evidence,
): VerdictEvidence {
  const { logThreshold, frozen, events, excluded, repeated, invalid } = evidence;
  const { treatment, control } = since.counts;
  return {
    e: Math.min(Math.exp(logE), LARGEST_E),
    // The logarithm has cost the last digits of 1/alpha.
    threshold: Number(Math.exp(logThreshold).toPrecision(12)),
    alpha,
    since: since.at,
    treatment,
    control,
    basis,
    events,
    frozenAt: frozen?.at,
    excluded,
    repeated,
    invalid,
  };
}

/** `Since 10:42 UTC` or `Since the rollout began` */
export function describeSince({ at }: TrialsSince, now: number): string {
  return at === undefined ? 'Since the rollout began' : `Since ${formatTime(at, now)}`;
}

/** `worse by 8.8 points` */
export function describeDifference({ treatment, control }: Evidence['counts']): string {
  const difference = rateOf(treatment) - rateOf(control);
  return `${difference < 0 ? 'better' : 'worse'} by ${points(Math.abs(difference))} points`;
}

/**
 * `the evidence E is 73.4, the limit is 50: at most 2 % of healthy rollouts ever reach it` after a breach, before one
 * `the evidence E is 3.1, the limit is 50`; 49.96 must not read as the 50 that it rounds to. After a breach, E may have fallen again.
 */
export function describeEvidence(
  { logE, breached }: Pick<Evidence, 'logE' | 'breached'>,
  logThreshold: number,
  alpha: number,
): string {
  const [reached, limit] = [formatE(logE), formatE(logThreshold)];
  if (breached) {
    const chance = `at most ${formatThreshold(alpha)} of healthy rollouts ever reach it`;
    return logE < logThreshold
      ? `the evidence E has reached its limit of ${limit}: ${chance}`
      : `the evidence E is ${reached}, the limit is ${limit}: ${chance}`;
  }
  return reached === limit
    ? `the evidence E is close to its limit of ${limit}`
    : `the evidence E is ${reached}, the limit is ${limit}`;
}

/** ` Left out: 500 outcomes whose arm was not drawn or whose chance is unknown.`; empty when nothing was. */
export function describeLeftOut({ excluded, invalid }: Evidence): string {
  const parts = [
    excluded > 0 ? `${countOf(excluded, 'outcome')} whose arm was not drawn or whose chance is unknown` : '',
    invalid > 0 ? countOf(invalid, 'invalid duration') : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` Left out: ${parts.join(', ')}.`;
}

/** A difference of rates in percentage points. */
export function points(difference: number): string {
  return Number((difference * 100).toFixed(Math.abs(difference) < 0.001 ? 3 : 1)).toString();
}

/** Counts as a rate, with what it rests on: `9.84 % (12 of 122)` */
export function describeTrials(counts: Trials): string {
  return `${rounded(rateOf(counts) * 100)} % (${formatCount(Math.round(counts.failures))} of ${formatCount(Math.round(counts.trials))})`;
}

/** To three digits. By arithmetic: these sentences are made at every evaluation, and `toPrecision` is slow. */
export function rounded(value: number): number {
  const size = Math.abs(value);
  const scale = size >= 100 ? 1 : size >= 10 ? 10 : size >= 1 ? 100 : size >= 0.1 ? 1_000 : 10_000;
  return Math.round(value * scale) / scale;
}

function formatE(logE: number): string {
  // The logarithm of a power of ten may be rounded down: 10^6 is not to become 10^5.
  return logE > 13 ? `10^${Math.floor(logE / Math.LN10 + 1e-9)}` : `${rounded(Math.exp(logE))}`;
}
