import { z } from 'zod';
import type { Evidence } from '../model/snapshot.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, rateSchema } from '../support/config-schemas.js';
import { countOf, formatCount, formatRate, formatThreshold } from '../support/wording.js';
import {
  describeEvidence,
  describeLeftOut,
  type EvidenceOptions,
  type EvidenceTrigger,
  evidenceFields,
  evidenceTrigger,
  figuresOf,
} from './evidence-rule.js';
import type { TriggerOptions } from './trigger.js';
import { type Finding, noVerdict, triggerFields } from './window-rule.js';

/** Options of {@link sampleRatioMismatch}; its alpha is 0.001 by default. */
export type SampleRatioMismatchOptions = EvidenceOptions;

/** Options of {@link usersInBothArms}. */
export interface UsersInBothArmsOptions extends TriggerOptions {
  /** The share of the units seen since the percentage last changed that is tolerated, a fraction. @default 0.01 */
  readonly maxShare?: number | undefined;
  /** Fewer units in both arms are no breach. @default 10 */
  readonly minUnits?: number | undefined;
}

const SAMPLE_RATIO_ALPHA = 0.001;

/**
 * Breaches when the arms do not have the units that Unleash's chances put there, too few or too many: then something decides on the
 * arm, or on what is seen of it, that chance does not, and no comparison of the arms can be trusted. Meant for `review`.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function sampleRatioMismatch(options: SampleRatioMismatchOptions = {}): EvidenceTrigger {
  const schema = z.strictObject(evidenceFields('sample-ratio-mismatch', SAMPLE_RATIO_ALPHA));
  const { alpha, name, dryRun } = parseConfig(schema, options, 'sampleRatioMismatch');
  return evidenceTrigger(
    { name, threshold: 1, unit: 'ratio', dryRun },
    { test: 'sample-ratio', alpha },
    (evidence) => examineRatio(evidence, alpha),
  );
}

function examineRatio(evidence: Evidence, alpha: number): Finding {
  const { units, treatment, expected } = evidence.assignment!;
  if (units === 0)
    return noVerdict('the sample ratio', 'no unit whose chance is known', describeLeftOut(evidence));
  const { breached, logThreshold } = evidence;
  const share = formatRate(treatment / units, expected / units);
  const found = `The treatment has ${share} of ${countOf(units, 'unit')}, by Unleash's chances ${formatRate(expected / units, treatment / units)}`;
  const claim = breached
    ? ': check the stickiness, whether keys change from visit to visit, and whether each service registers the hook'
    : '';
  const figures = describeEvidence(evidence, logThreshold, alpha);
  return {
    status: breached ? 'breach' : 'ok',
    observed: treatment / expected,
    message: () => `${found}${claim}; ${figures}.`,
    evidence: figuresOf(evidence, alpha),
  };
}

const optionsSchema = z.strictObject({
  maxShare: rateSchema.default(0.01),
  minUnits: countSchema.default(10),
  ...triggerFields('users-in-both-arms'),
});

/**
 * Breaches when units are seen in both arms while the percentage stays: the stickiness is random, a key that the draw uses changes, or
 * processes have different definitions. What such users see is no experience of one arm. Meant for `review`.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function usersInBothArms(options: UsersInBothArmsOptions = {}): EvidenceTrigger {
  const { maxShare, minUnits, name, dryRun } = parseConfig(optionsSchema, options, 'usersInBothArms');
  return evidenceTrigger(
    { name, threshold: maxShare, unit: 'fraction', dryRun },
    { test: 'sample-ratio', alpha: SAMPLE_RATIO_ALPHA },
    (evidence) => {
      const { epochUnits, inBothArms } = evidence.assignment!;
      if (epochUnits === 0) return noVerdict('users in both arms', 'no unit whose chance is known');
      const observed = inBothArms / epochUnits;
      const breached = observed > maxShare && inBothArms >= minUnits;
      const found = `${formatRate(observed, maxShare)} of ${countOf(epochUnits, 'unit')} (${formatCount(inBothArms)}) were in both arms since the percentage last changed`;
      const claim = breached
        ? `above ${formatThreshold(maxShare)}: check that the stickiness is a field that stays with the user`
        : `not above ${formatThreshold(maxShare)}`;
      return { status: breached ? 'breach' : 'ok', observed, message: `${found}, ${claim}.` };
    },
  );
}
