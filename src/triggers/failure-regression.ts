import { z } from 'zod';
import type { Evidence } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { ratioSchema } from '../support/config-schemas.js';
import { countOf } from '../support/wording.js';
import {
  describeDifference,
  describeEvidence,
  describeLeftOut,
  describeTrials,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  points,
  rateOf,
  rounded,
} from './evidence-rule.js';
import type { Finding } from './window-rule.js';

/** Options of {@link failureRegression}. */
export interface FailureRegressionOptions extends EvidenceOptions {
  /**
   * The odds ratio of failing, treatment to control, that is still tolerated. Where failures are rare, 1.5 tolerates about
   * 50 % more of them. @default 1
   */
  readonly ratio?: number | undefined;
  /** Breach only if the failure rates differ by at least this much as well, a fraction: 0.01 is one point. @default 0 */
  readonly minDifference?: number | undefined;
}

const DIFFERENCE = 'a fraction from 0 up to 1 (0.01 is one percentage point)';

const optionsSchema = z.strictObject({
  ...evidenceFields('failure-regression'),
  ratio: ratioSchema.default(1),
  minDifference: z
    .number({ error: DIFFERENCE })
    .refine((value) => value >= 0 && value < 1, { error: DIFFERENCE })
    .default(0),
});

/**
 * Breaches when the treatment fails more than the control does, shown by a test that stays valid however often it
 * is evaluated: while the treatment fails no more than tolerated, the chance of ever breaching in one epoch is at most `alpha`.
 * It needs no minimum of outcomes. At 100 %, where no control remains, it compares with what the control did before,
 * assuming that this would not have changed.
 *
 * Only users whose arm was randomised count, each once in an epoch. `observed` is the difference of the failure rates.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function failureRegression(options: FailureRegressionOptions = {}): EvidenceTrigger {
  const { alpha, ratio, minDifference, name } = parseConfig(optionsSchema, options, 'failureRegression');
  return evidenceTrigger(
    { name, threshold: minDifference, unit: 'fraction' },
    { test: 'failure-regression', alpha, ratio },
    (evidence) => examine(evidence, minDifference, alpha),
  );
}

function examine(evidence: Evidence, minDifference: number, alpha: number): Finding {
  const { counts, breached, frozenLimit } = evidence;
  const { treatment, control } = counts;
  if (treatment.trials === 0 || control.trials === 0 || (frozenLimit ?? 0) >= 1) {
    return { status: 'insufficient-data', message: describeMissing(evidence) };
  }
  const observed = rateOf(treatment) - rateOf(control);
  const large = observed >= minDifference;
  const message = () => {
    const found = `The treatment fails ${describeTrials(treatment)}, the control ${describeTrials(control)}`;
    const baseline =
      frozenLimit === undefined
        ? ''
        : ` No control remains: up to ${rounded(frozenLimit * 100)} % is tolerated, from the control of an earlier epoch, assuming that it would not have changed.`;
    const figures = describeEvidence(evidence, alpha);
    if (!breached) return `${found}: no regression shown; ${figures}.${baseline}`;
    const relation = large
      ? ''
      : ` The difference is below the ${points(minDifference)} points of minDifference.`;
    return `${found}: ${describeDifference(counts)}; ${figures}.${relation}${baseline}`;
  };
  const status = breached && large ? 'breach' : 'ok';
  return { status, observed, message: breached ? message : message() };
}

function describeMissing(evidence: Evidence): string {
  const { treatment, control } = evidence.counts;
  if (evidence.frozenLimit !== undefined) {
    return `No verdict: no control remains, and the ${countOf(control.trials, 'outcome')} of the earlier control are too few.`;
  }
  const sizes = `${countOf(treatment.trials, 'outcome')} of the treatment and ${control.trials} of the control`;
  return `No verdict yet: the test has ${sizes}.${describeLeftOut(evidence)}`;
}
