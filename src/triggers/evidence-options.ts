import { z } from 'zod';
import type { EvidenceRequest } from '../statistics/evidence-request.js';
import type { Trigger } from './trigger.js';
import { triggerNameSchema } from './window-rule.js';

/** Options of every trigger that rests on an anytime-valid test. */
export interface EvidenceOptions {
  /**
   * The chance of ever breaching within one epoch while all is well, however often one looks; above 0, below 0.5.
   * @default 0.05
   */
  readonly alpha?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default the kind, for example `failure-regression` */
  readonly name?: string | undefined;
}

/** A trigger that rests on an anytime-valid test, with what it was made of. */
export interface EvidenceTrigger extends Trigger {
  readonly evidence: EvidenceRequest;
  /** What `observed` of its verdicts is compared with. */
  readonly threshold: number;
}

const ALPHA = 'a probability above 0 and below 0.5';

const alphaSchema = z.number({ error: ALPHA }).superRefine((alpha, context) => {
  if (alpha > 0 && alpha < 0.5) return;
  const hint = alpha >= 1 && alpha < 50 ? `did you mean ${alpha / 100}?` : undefined;
  context.addIssue({ code: 'custom', message: ALPHA, params: { hint } });
});

const RATIO = 'a number above 0 (1.2 tolerates 20 % more)';

/** How many times the control's value is tolerated. */
export const ratioSchema = z
  .number({ error: RATIO })
  .refine((ratio) => ratio > 0 && Number.isFinite(ratio), { error: RATIO });

/** The fields of {@link EvidenceOptions}. */
export const evidenceFields = (name: string) => ({
  alpha: alphaSchema.default(0.05),
  name: triggerNameSchema.default(name),
});
