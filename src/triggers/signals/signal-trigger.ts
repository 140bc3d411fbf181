import { z } from 'zod';
import { UNITS, type Unit, type Verdict } from '../../model/shapes.js';
import type { SignalValue, Snapshot } from '../../model/snapshot.js';
import { durationMsSchema } from '../../support/config-schemas.js';
import { formatAgo, formatDuration } from '../../support/wording.js';
import type { SignalSource, ThresholdTrigger } from '../trigger.js';
import { NO_SAMPLE } from '../window-rule.js';

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

type ReadSettings = z.infer<z.ZodObject<typeof readFields>>;

const AGE = 'more than everyMs, or each reading is too old before the next one comes';

/** What {@link readFields} must satisfy together. */
export function refineTiming({ everyMs, maxAgeMs }: ReadSettings, context: z.core.$RefinementCtx): void {
  if (maxAgeMs === undefined || maxAgeMs > everyMs) return;
  context.addIssue({ code: 'custom', path: ['maxAgeMs'], message: AGE });
}

/** A number that a signal is compared with. */
export const limitSchema = z.number({ error: 'a number' });

/** A rule on one number from elsewhere. */
interface SignalRule {
  readonly name: string;
  /** The subject of its sentences: `The signal queue-depth`. */
  readonly subject: string;
  readonly direction: 'above' | 'below';
  readonly threshold: number;
}

/**
 * The trigger of a rule on a signal. It evaluates the latest reading, as long as that is young enough and of this epoch: a
 * reading from before an operator turned the flag on again, or changed its percentage, does not describe the current rollout.
 */
export function signalTrigger(
  rule: SignalRule,
  read: SignalSource['read'],
  { unit, everyMs, timeoutMs, maxAgeMs = 4 * everyMs }: ReadSettings,
): SignalTrigger {
  const { name, threshold } = rule;
  return Object.freeze({
    name,
    windowMs: 0,
    threshold,
    unit,
    signal: Object.freeze({ read, everyMs, timeoutMs, maxAgeMs }),
    evaluate({ signals, epochStartedAt }: Snapshot, now: number): Verdict {
      const value = signals?.find(({ trigger }) => trigger === name);
      const at = value?.reading?.at;
      return {
        trigger: name,
        ...examine(rule, value, whyUnusable(at, epochStartedAt, maxAgeMs, now), now),
        threshold,
        unit,
        sampleSize: NO_SAMPLE,
        windowMs: 0,
        freshnessMs: at === undefined ? undefined : Math.max(0, now - at),
      };
    },
  });
}

function examine(
  { subject, direction, threshold }: SignalRule,
  signal: SignalValue | undefined,
  unusable: string | undefined,
  now: number,
): Pick<Verdict, 'status' | 'observed' | 'message'> {
  if (unusable !== undefined || signal?.reading === undefined) {
    const since = signal?.problem === undefined ? '' : ` (the last attempt: ${signal.problem})`;
    const message = `${subject} has no verdict: ${unusable}${since}.`;
    return { status: 'insufficient-data', observed: undefined, message };
  }
  const { value, at } = signal.reading;
  const breached = direction === 'above' ? value > threshold : value < threshold;
  const relation = `${breached ? '' : 'not '}${direction} ${threshold}`;
  const message = `${subject} is ${formatValue(value, threshold)} (${formatAgo(now - at)}), ${relation}.`;
  return { status: breached ? 'breach' : 'ok', observed: value, message };
}

/** @param at - The time of the latest reading. */
function whyUnusable(
  at: number | undefined,
  epochStartedAt: number,
  maxAgeMs: number,
  now: number,
): string | undefined {
  if (at === undefined) return 'nothing has been read yet';
  // In a clock that was set back meanwhile, the epoch begins in the future, and its order with a reading is not known.
  if (at < epochStartedAt && epochStartedAt <= now) return 'nothing has been read since the rollout changed';
  if (at - now > maxAgeMs) return 'the clock was set back after the latest reading';
  if (now - at <= maxAgeMs) return undefined;
  return `the latest reading is from ${formatAgo(now - at)}, and one older than ${formatDuration(maxAgeMs)} is ignored`;
}

/** Six digits, and all of them where rounding would make the value look equal to the threshold. */
function formatValue(value: number, threshold: number): string {
  const rounded = Number(value.toPrecision(6));
  return String(rounded === threshold ? value : rounded);
}
