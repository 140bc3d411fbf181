import type {
  DifferenceEvidence,
  Evidence,
  Snapshot,
  Trials,
  Unit,
  Verdict,
  VerdictEvidence,
} from '../model/shapes.js';
import { differenceConfidenceInterval } from '../statistics/confidence.js';
import type { EvidenceRequest } from '../statistics/evidence-state.js';
import { alphaSchema } from '../support/config-schemas.js';
import { countOf, formatThreshold } from '../support/wording.js';
import type { ThresholdTrigger } from './trigger.js';
import { triggerNameSchema } from './window-rule.js';

/** Options of every trigger that rests on an anytime-valid test. */
export interface EvidenceOptions {
  /**
   * The chance of ever breaching within one epoch while all is well, however often the trigger is evaluated; above 0, below 0.5.
   * @default 0.05
   */
  readonly alpha?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default the kind, for example `failure-regression` */
  readonly name?: string | undefined;
}

/** A trigger that rests on an anytime-valid test. */
export interface EvidenceTrigger extends ThresholdTrigger {
  readonly evidence: EvidenceRequest;
}

/** The fields of {@link EvidenceOptions}. */
export const evidenceFields = (name: string) => ({
  alpha: alphaSchema.default(0.05),
  name: triggerNameSchema.default(name),
});

/** The part of a rule that its verdicts repeat. */
export interface EvidenceRule {
  readonly name: string;
  readonly threshold: number;
  readonly unit: Unit;
  readonly rate?: Verdict['rate'];
  readonly alpha: number;
}

/** What a rule finds in its evidence. */
export interface EvidenceFinding {
  readonly status: Verdict['status'];
  readonly observed?: number;
  /** Makes the sentence for an operator. */
  readonly message: () => string;
}

/** Intervals are valid at all times at once with 95 %, whatever alpha the test has: it is what readers expect. */
const INTERVAL_ALPHA = 0.05;
/** JSON has no infinity. */
const LARGEST_E = 1e300;

/** Examines the evidence of the rule and adds to the finding what every verdict carries. */
export function evaluateEvidence(
  { name, threshold, unit, rate, alpha }: EvidenceRule,
  snapshot: Snapshot,
  now: number,
  examine: (evidence: Evidence) => EvidenceFinding,
): Verdict {
  const gathered = snapshot.evidence?.find(({ trigger }) => trigger === name);
  const finding = gathered === undefined ? NOTHING_GATHERED : examine(gathered);
  const { lastOutcomeAt } = snapshot.total.treatment;
  const verdict = {
    trigger: name,
    status: finding.status,
    observed: finding.observed,
    threshold,
    unit,
    rate,
    sampleSize: {
      treatment: gathered?.counts.treatment.trials ?? 0,
      control: gathered?.counts.control.trials ?? 0,
    },
    windowMs: Math.max(0, now - snapshot.epochStartedAt),
    freshnessMs: lastOutcomeAt === undefined ? undefined : Math.max(0, now - lastOutcomeAt),
    message: '',
    evidence: gathered === undefined ? undefined : figuresOf(gathered, alpha),
  };
  if (gathered?.breached) defer(verdict, 'message', finding.message);
  else verdict.message = finding.message();
  return verdict;
}

/** Has a property computed when it is first read. An interval needs 100 µs, and a breach under review is evaluated for hours. */
function defer<Key extends string, Value>(
  target: { [key in Key]: Value },
  key: Key,
  compute: () => Value,
): void {
  let value: { readonly computed: Value } | undefined;
  const get = () => {
    value ??= { computed: compute() };
    return value.computed;
  };
  Object.defineProperty(target, key, { get, enumerable: true });
}

const NOTHING_GATHERED: EvidenceFinding = {
  status: 'insufficient-data',
  message: () => 'No verdict: the store gathers no evidence for this trigger.',
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
export function differenceOf(counts: Evidence['counts']): DifferenceEvidence {
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

/** `the evidence E reached 73.4, the limit is 50: at most 2 % of healthy epochs ever reach it` */
export function describeBreach({ peakLogE, logThreshold }: Evidence, alpha: number): string {
  const chance = `at most ${formatThreshold(alpha)} of healthy epochs ever reach it`;
  return `the evidence E reached ${formatE(peakLogE)}, the limit is ${formatE(logThreshold)}: ${chance}`;
}

/** `the evidence E reached 3.1 so far, the limit is 50`; 49.96 must not read as the 50 that it rounds to. */
export function describeEvidence({ peakLogE, logThreshold }: Evidence): string {
  const [reached, limit] = [formatE(peakLogE), formatE(logThreshold)];
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
