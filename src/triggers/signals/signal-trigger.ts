import { z } from 'zod';
import { UNITS, type Unit, type Verdict } from '../../model/shapes.js';
import type { SignalValue, Snapshot } from '../../model/snapshot.js';
import { durationMsSchema } from '../../support/config-schemas.js';
import { countOf, formatAgo, formatDuration } from '../../support/wording.js';
import type { SignalSource, ThresholdTrigger, TriggerOptions } from '../trigger.js';
import { dryRunSchema, NO_SAMPLE } from '../window-rule.js';

/** How a signal is read, and what it measures. */
export interface SignalReadOptions extends Pick<TriggerOptions, 'dryRun'> {
  /** What the number is, for reports and charts. @default 'none' */
  readonly unit?: Unit | undefined;
  /** How often it is read, in milliseconds; the guard's `tickMs` is the shortest. @default 15_000 */
  readonly everyMs?: number | undefined;
  /** The timeout of one read, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** An older reading is ignored and leads to no verdict, in milliseconds; more than `everyMs`. @default 4 times `everyMs` */
  readonly maxAgeMs?: number | undefined;
  /** So many readings in a row beyond the limit are a breach, 1–1,000. @default 1 */
  readonly confirmations?: number | undefined;
  /** Readings beyond the limit must span so many milliseconds to be a breach. @default 0 */
  readonly forMs?: number | undefined;
  /**
   * What follows when there has been no usable reading for `maxAgeMs` while the flag was on: nothing, a review (of a rollback trigger,
   * too), or what a breach does. @default 'ignore'
   */
  readonly onMissing?: 'ignore' | 'review' | 'stop' | undefined;
}

/** A trigger on a number from elsewhere. */
export interface SignalTrigger extends ThresholdTrigger {
  readonly signal: SignalSource;
}

/** Readings in a row that are remembered at most. */
const MOST_READINGS = 1_000;
const CONFIRMATIONS = `a whole number of readings, 1–${MOST_READINGS}`;
const FOR = `a number of milliseconds, 0 or more, at most ${MOST_READINGS - 1} times everyMs`;

/** The fields of {@link SignalReadOptions}. */
export const readFields = {
  dryRun: dryRunSchema,
  unit: z.enum(UNITS).default('none'),
  everyMs: durationMsSchema.default(15_000),
  timeoutMs: durationMsSchema.default(5_000),
  maxAgeMs: durationMsSchema.optional(),
  confirmations: z
    .int({ error: CONFIRMATIONS })
    .min(1, { error: CONFIRMATIONS })
    .max(MOST_READINGS, { error: CONFIRMATIONS })
    .default(1),
  forMs: z.number({ error: FOR }).min(0, { error: FOR }).default(0),
  onMissing: z
    .enum(['ignore', 'review', 'stop'], { error: "'ignore', 'review' or 'stop'" })
    .default('ignore'),
};

type ReadSettings = z.infer<z.ZodObject<typeof readFields>>;

const AGE = 'more than everyMs, or each reading is too old before the next one comes';

/** What {@link readFields} must satisfy together. */
export function refineTiming(
  { everyMs, maxAgeMs, forMs }: ReadSettings,
  context: z.core.$RefinementCtx,
): void {
  if (forMs > (MOST_READINGS - 1) * everyMs) {
    context.addIssue({ code: 'custom', path: ['forMs'], message: FOR });
  }
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
  { unit, everyMs, timeoutMs, maxAgeMs = 4 * everyMs, confirmations, forMs, onMissing, dryRun }: ReadSettings,
): SignalTrigger {
  const { name, threshold } = rule;
  const needed = { confirmations, forMs };
  const isConfirming = confirmations > 1 || forMs > 0;
  const most = Math.max(confirmations, Math.ceil(forMs / everyMs) + 1);
  const row = isConfirming ? { has: (value: number) => isBeyond(rule, value), most } : undefined;
  return Object.freeze({
    name,
    windowMs: 0,
    threshold,
    unit,
    dryRun,
    signal: Object.freeze({ read, everyMs, timeoutMs, maxAgeMs, row }),
    evaluate({ signals, epochStartedAt }: Snapshot, now: number): Verdict {
      const value = signals?.find(({ trigger }) => trigger === name);
      const at = value?.reading?.at;
      const unusable = whyUnusable(at, epochStartedAt, maxAgeMs, now);
      const since = Math.max(at ?? 0, epochStartedAt, value?.readSince ?? now);
      const isMissing = unusable !== undefined && onMissing !== 'ignore' && now - since > maxAgeMs;
      const counted = value?.row?.filter((time) => time >= epochStartedAt || epochStartedAt > now);
      return {
        trigger: name,
        ...examine(rule, value, unusable, now, isConfirming ? { ...needed, row: counted ?? [] } : undefined),
        ...(isMissing && { status: 'breach' }),
        ...(isMissing && onMissing === 'review' && { opens: 'review' }),
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
  rule: SignalRule,
  signal: SignalValue | undefined,
  unusable: string | undefined,
  now: number,
  confirming: Confirming | undefined,
): Pick<Verdict, 'status' | 'observed' | 'message'> {
  const { subject, direction, threshold } = rule;
  if (unusable !== undefined || signal?.reading === undefined) {
    const since = signal?.problem === undefined ? '' : ` (the last attempt: ${signal.problem})`;
    const message = `${subject} has no verdict: ${unusable}${since}.`;
    return { status: 'insufficient-data', observed: undefined, message };
  }
  const { value, at } = signal.reading;
  const breached = isBeyond(rule, value);
  const relation = `${breached ? '' : 'not '}${direction} ${threshold}`;
  const message = `${subject} is ${formatValue(value, threshold)} (${formatAgo(now - at)}), ${relation}.`;
  const lacking = breached && confirming !== undefined ? whatLacks(confirming) : undefined;
  if (lacking === undefined) return { status: breached ? 'breach' : 'ok', observed: value, message };
  return {
    status: 'insufficient-data',
    observed: value,
    message: `${message} Not confirmed yet: ${lacking}.`,
  };
}

function isBeyond({ direction, threshold }: SignalRule, value: number): boolean {
  return direction === 'above' ? value > threshold : value < threshold;
}

/** What confirms a breach, and the times of the readings in a row that did so far. */
interface Confirming {
  readonly confirmations: number;
  readonly forMs: number;
  readonly row: readonly number[];
}

function whatLacks({ confirmations, forMs, row }: Confirming): string | undefined {
  if (row.length < confirmations) return `${row.length} of ${countOf(confirmations, 'reading')} in a row`;
  const spanMs = row.length === 0 ? 0 : row.at(-1)! - row[0]!;
  return spanMs < forMs ? `for ${formatDuration(spanMs)} of ${formatDuration(forMs)}` : undefined;
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
