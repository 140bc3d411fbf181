import type {
  DifferenceEvidence,
  Evidence,
  Snapshot,
  Trials,
  Verdict,
  VerdictEvidence,
} from '../model/shapes.js';
import { differenceConfidenceInterval } from '../statistics/confidence.js';
import type { EvidenceRequest } from '../statistics/evidence-state.js';
import { alphaSchema } from '../support/config-schemas.js';
import { countOf, formatThreshold } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { defer, type Finding, NO_SAMPLE, type Rule, triggerNameSchema, verdictOf } from './window-rule.js';

/** Options of every trigger that rests on a sequential test. */
export interface EvidenceOptions extends TriggerOptions {
  /**
   * The chance of ever breaching within one epoch while all is well, however often the trigger is evaluated; above 0, below 0.5.
   * @default 0.05
   */
  readonly alpha?: number | undefined;
}

/** A trigger that rests on a sequential test. */
export interface EvidenceTrigger extends ThresholdTrigger {
  readonly evidence: EvidenceRequest;
}

/** The fields of {@link EvidenceOptions}. */
export const evidenceFields = (name: string) => ({
  alpha: alphaSchema.default(0.05),
  name: triggerNameSchema.default(name),
});

/** Intervals are valid at all times at once with 95 %, whatever alpha the test has: it is what readers expect. */
const INTERVAL_ALPHA = 0.05;
/** JSON has no infinity. */
const LARGEST_E = 1e300;

/** The trigger of a rule on the evidence of one test. */
export function evidenceTrigger(
  { name, threshold, unit, rate }: Omit<Rule, 'windowMs'>,
  evidence: EvidenceRequest,
  examine: (evidence: Evidence) => Finding,
): EvidenceTrigger {
  const rule = { name, windowMs: 0, threshold, unit, rate };
  return Object.freeze({
    ...rule,
    evidence: Object.freeze(evidence),
    evaluate(snapshot: Snapshot, now: number): Verdict {
      const gathered = snapshot.evidence?.find(({ trigger }) => trigger === name);
      if (gathered === undefined) return verdictOf(rule, NOTHING_GATHERED, NO_SAMPLE, snapshot, now);
      const { treatment, control } = gathered.counts;
      const sampleSize = { treatment: treatment.trials, control: control.trials };
      const finding = examine(gathered);
      const figures = figuresOf(gathered, evidence.alpha);
      return verdictOf(rule, finding, sampleSize, snapshot, now, figures);
    },
  });
}

const NOTHING_GATHERED: Finding = {
  status: 'insufficient-data',
  message: 'No verdict: the store gathers no evidence for this trigger.',
};

function figuresOf(evidence: Evidence, alpha: number): VerdictEvidence {
  const { peakLogE, logThreshold, counts, excluded, repeated, invalid, breached } = evidence;
  const { treatment, control } = counts;
  const figures = {
    e: Math.min(Math.exp(peakLogE), LARGEST_E),
    // The logarithm has cost the last digits of 1/alpha.
    threshold: Number(Math.exp(logThreshold).toPrecision(12)),
    alpha,
    treatment,
    control,
    difference: undefined as DifferenceEvidence | undefined,
    excluded,
    repeated,
    invalid,
  };
  if (breached && treatment.trials > 0 && control.trials > 0) {
    defer(figures, 'difference', () => differenceOf(counts));
  }
  return figures;
}

/** The difference of two arms' rates, with an interval that is valid at any time. Needs about 100 µs. */
function differenceOf(counts: Evidence['counts']): DifferenceEvidence {
  return {
    observed: rateOf(counts.treatment) - rateOf(counts.control),
    ...differenceConfidenceInterval(counts, INTERVAL_ALPHA),
    confidence: 1 - INTERVAL_ALPHA,
  };
}

/** Failures among trials; 0 of none. */
export function rateOf({ trials, failures }: Trials): number {
  return trials === 0 ? 0 : failures / trials;
}

/** `worse by 8.8 points (95 % interval 1.2 to 20.1)` */
export function describeDifference(counts: Evidence['counts']): string {
  const { observed, lower, upper, confidence } = differenceOf(counts);
  const interval = `${formatThreshold(confidence)} interval ${points(lower)} to ${points(upper)}`;
  return `${observed < 0 ? 'better' : 'worse'} by ${points(Math.abs(observed))} points (${interval})`;
}

/**
 * `the evidence E reached 73.4, the limit is 50: at most 2 % of healthy epochs ever reach it` after a breach, before one
 * `the evidence E reached 3.1 so far, the limit is 50`; 49.96 must not read as the 50 that it rounds to.
 */
export function describeEvidence({ peakLogE, logThreshold, breached }: Evidence, alpha: number): string {
  const [reached, limit] = [formatE(peakLogE), formatE(logThreshold)];
  if (breached) {
    const chance = `at most ${formatThreshold(alpha)} of healthy epochs ever reach it`;
    return `the evidence E reached ${reached}, the limit is ${limit}: ${chance}`;
  }
  return reached === limit
    ? `the evidence E came close to its limit of ${limit}`
    : `the evidence E reached ${reached} so far, the limit is ${limit}`;
}

/** ` Left out: 500 outcomes of users who were not randomised, 20 of users who had counted.`; empty when nothing was. */
export function describeLeftOut({ excluded, repeated, invalid }: Evidence): string {
  const parts = [
    excluded > 0 ? `${countOf(excluded, 'outcome')} of users who were not randomised` : '',
    repeated > 0 ? `${repeated} of users who had counted` : '',
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
  return `${rounded(rateOf(counts) * 100)} % (${counts.failures} of ${counts.trials})`;
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
