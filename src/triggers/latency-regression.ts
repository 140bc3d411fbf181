import { z } from 'zod';
import type { Evidence, QuantileEvidence } from '../model/snapshot.js';
import { parseConfig } from '../support/config-error.js';
import { ratioSchema } from '../support/config-schemas.js';
import { formatQuantity } from '../support/wording.js';
import {
  describeEvidence,
  describeLeftOut,
  describeSince,
  describeTrials,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  figuresOf,
  rounded,
} from './evidence-rule.js';
import { type Finding, noVerdict } from './window-rule.js';

/** Options of {@link latencyRegression}. */
export interface LatencyRegressionOptions extends EvidenceOptions {
  /** How many times the control's durations are tolerated. @default 1.2 */
  readonly ratio?: number | undefined;
}

const optionsSchema = z.strictObject({
  ...evidenceFields('latency-regression'),
  ratio: ratioSchema.default(1.2),
});

/**
 * Breaches when the treatment's successes are more than `ratio` times as slow as the control's, at the median or in the tail
 * (p50, p90 and p99): a unit's event is its first success that is slower, compared by the test of `failureRegression`. At 100 %
 * it compares with the control's quantiles as they were.
 *
 * `observed` is the ratio at the quantile that is nearest to a breach.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function latencyRegression(options: LatencyRegressionOptions = {}): EvidenceTrigger {
  const { alpha, ratio, name, dryRun } = parseConfig(optionsSchema, options, 'latencyRegression');
  const trigger = evidenceTrigger(
    { name, threshold: ratio, unit: 'ratio', dryRun },
    { test: 'latency', alpha, ratio },
    (evidence, _snapshot, now) => examine(evidence, ratio, alpha, now),
  );
  // Of p50, p90 and p99; no chart shows the p90.
  return Object.freeze({ ...trigger, quantiles: ['p50', 'p99'] as const });
}

function examine(evidence: Evidence, ratio: number, alpha: number, now: number): Finding {
  const strongest = strongestOf(evidence.quantiles ?? []);
  if (strongest === undefined) {
    return noVerdict('durations', 'the test has too few successes of either arm', describeLeftOut(evidence));
  }
  const { controlMs, treatmentMs } = strongest;
  const { breached, since, logThreshold } = evidence;
  const observed = treatmentMs === undefined || controlMs === 0 ? undefined : treatmentMs / controlMs;
  const message = () => {
    const claim = breached ? 'too slow' : `not shown to be slower than ${ratio} times the control`;
    return `${describeObserved(strongest, observed, ratio)}${describeSince(since, now)} ${describe(strongest, ratio, observed)}: ${claim}; ${describeEvidence(evidence, logThreshold, alpha)}.`;
  };
  return {
    status: breached ? 'breach' : 'ok',
    ...(observed === undefined ? {} : { observed }),
    message,
    evidence: figuresOf(evidence, alpha),
  };
}

/** The comparison with the most evidence; undefined while there is none. */
function strongestOf(quantiles: readonly QuantileEvidence[]): QuantileEvidence | undefined {
  let strongest: QuantileEvidence | undefined;
  for (const each of quantiles) {
    if (each.counts.treatment.trials === 0 || each.counts.control.trials === 0) continue;
    if (strongest === undefined || each.breached || each.logE > strongest.logE) strongest = each;
    if (each.breached) break;
  }
  return strongest;
}

/** `The treatment's p50 of 25.6 ms is 6.07× the control's of 4.22 ms. `; empty while nothing is observed. */
function describeObserved(
  { quantile, treatmentMs = 0, controlMs }: QuantileEvidence,
  observed: number | undefined,
  ratio: number,
): string {
  if (observed === undefined) return '';
  const times = formatQuantity(observed, 'ratio', ratio);
  return `The treatment's ${percentileOf(quantile)} of ${rounded(treatmentMs)} ms is ${times} the control's of ${rounded(controlMs)} ms. `;
}

const percentileOf = (quantile: number) => `p${rounded(quantile * 100)}`;

function describe(
  { quantile, controlMs, limitMs, counts }: QuantileEvidence,
  ratio: number,
  observed: number | undefined,
): string {
  const percentile = percentileOf(quantile);
  const slow = `${describeTrials(counts.treatment)} of the treatment's successes took longer than ${rounded(limitMs)} ms`;
  const of = observed === undefined ? ` of ${rounded(controlMs)} ms` : '';
  const limit = `${ratio} times the control's ${percentile}${of}`;
  const baseline = `${describeTrials(counts.control)} of the control's longer than that ${percentile}`;
  return `${slow}, which is ${limit}, and ${baseline}`;
}
