import { z } from 'zod';
import { UNITS, type Unit } from '../../model/shapes.js';
import { durationMsSchema } from '../../support/config-schemas.js';
import type { SignalSource, ThresholdTrigger } from '../trigger.js';
import { evaluateSignal, type SignalRule } from './signal-verdict.js';

/** How a signal is read, and what it measures. */
export interface SignalReadOptions {
  /** What the number is, for reports and charts. @default 'none' */
  readonly unit?: Unit | undefined;
  /** How often it is read, in milliseconds; the guard's `tickMs` is the shortest. @default 15_000 */
  readonly everyMs?: number | undefined;
  /** The timeout of one read, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** An older reading is ignored and leads to no verdict, in milliseconds; more than `everyMs`. @default 4 times `everyMs` */
  readonly maxAgeMs?: number | undefined;
}

/** A trigger on a number from elsewhere. */
export interface SignalTrigger extends ThresholdTrigger {
  readonly signal: SignalSource;
}

/** The fields of {@link SignalReadOptions}. */
export const readFields = {
  unit: z.enum(UNITS).default('none'),
  everyMs: durationMsSchema.default(15_000),
  timeoutMs: durationMsSchema.default(5_000),
  maxAgeMs: durationMsSchema.optional(),
};

const AGE = 'more than everyMs, or each reading is too old before the next one comes';

/** What must hold for {@link readFields} together. */
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
  rule: Omit<SignalRule, 'maxAgeMs' | 'unit'>,
  read: SignalSource['read'],
  {
    unit,
    everyMs,
    timeoutMs,
    maxAgeMs = 4 * everyMs,
  }: { unit: Unit; everyMs: number; timeoutMs: number; maxAgeMs?: number | undefined },
): SignalTrigger {
  const { name, threshold } = rule;
  const checked: SignalRule = { ...rule, unit, maxAgeMs };
  return Object.freeze({
    name,
    windowMs: 0,
    threshold,
    unit,
    signal: Object.freeze({ read, everyMs, timeoutMs, maxAgeMs }),
    evaluate: (snapshot, now) => evaluateSignal(checked, snapshot, now),
  } satisfies SignalTrigger);
}
