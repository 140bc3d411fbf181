import { z } from 'zod';
import { durationMsSchema } from '../../support/config-schemas.js';
import { evaluateSignal, type SignalRule } from '../signal-verdict.js';
import type { SignalSource, Trigger } from '../trigger.js';

/** How a signal is read. */
export interface SignalTiming {
  /** How often it is read, in milliseconds; the guard's `tickMs` is the shortest. @default 15_000 */
  readonly everyMs?: number | undefined;
  /** How long one read may take, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** An older reading is none and leads to no verdict, in milliseconds; more than `everyMs`. @default 4 times `everyMs` */
  readonly maxAgeMs?: number | undefined;
}

/** A trigger that judges a number from elsewhere. */
export interface SignalTrigger extends Trigger {
  readonly signal: SignalSource;
  readonly threshold: number;
}

/** The fields of {@link SignalTiming}. */
export const timingFields = {
  everyMs: durationMsSchema.default(15_000),
  timeoutMs: durationMsSchema.default(5_000),
  maxAgeMs: durationMsSchema.optional(),
};

const AGE = 'more than everyMs, or each reading is too old before the next one comes';

/** What holds for {@link timingFields} together. */
export function refineTiming(
  { everyMs, maxAgeMs }: { readonly everyMs: number; readonly maxAgeMs?: number | undefined },
  context: z.core.$RefinementCtx,
): void {
  if (maxAgeMs === undefined || maxAgeMs > everyMs) return;
  context.addIssue({ code: 'custom', path: ['maxAgeMs'], message: AGE });
}

/** A number that a signal is compared with. */
export const limitSchema = z.number({ error: 'a number' });

/** Makes the trigger of a rule and of options that have been checked. */
export function signalTrigger(
  rule: Omit<SignalRule, 'maxAgeMs'>,
  read: SignalSource['read'],
  {
    everyMs,
    timeoutMs,
    maxAgeMs = 4 * everyMs,
  }: { everyMs: number; timeoutMs: number; maxAgeMs?: number | undefined },
): SignalTrigger {
  const { name, threshold } = rule;
  const checked: SignalRule = { ...rule, maxAgeMs };
  return Object.freeze({
    name,
    windowMs: 0,
    threshold,
    unit: 'none',
    signal: Object.freeze({ read, everyMs, timeoutMs, maxAgeMs }),
    evaluate: (snapshot, now) => evaluateSignal(checked, snapshot, now),
  } satisfies SignalTrigger);
}
