import type { SignalValue, Snapshot, Unit, Verdict } from '../../model/shapes.js';
import { formatAgo, formatDuration } from '../../support/wording.js';

/** A rule on one number from elsewhere. */
export interface SignalRule {
  readonly name: string;
  /** The subject of its sentences: `The signal queue-depth`. */
  readonly subject: string;
  readonly direction: 'above' | 'below';
  readonly threshold: number;
  readonly unit: Unit;
  readonly maxAgeMs: number;
}

const NO_OUTCOMES = { treatment: 0, control: 0 } as const;

/**
 * Evaluates the latest reading of a signal, as long as it is young enough and of this epoch: a reading from before an operator
 * turned the flag on again, or changed its percentage, does not describe the current rollout.
 */
export function evaluateSignal(rule: SignalRule, snapshot: Snapshot, now: number): Verdict {
  const { name, threshold, unit } = rule;
  const read = snapshot.signals?.find(({ trigger }) => trigger === name);
  const ageMs = read?.reading === undefined ? undefined : Math.max(0, now - read.reading.at);
  const { status, observed, message } = examine(rule, read, snapshot.epochStartedAt, now);
  return {
    trigger: name,
    status,
    observed,
    threshold,
    unit,
    sampleSize: NO_OUTCOMES,
    windowMs: 0,
    freshnessMs: ageMs,
    message,
  };
}

function examine(
  rule: SignalRule,
  read: SignalValue | undefined,
  epochStartedAt: number,
  now: number,
): Pick<Verdict, 'status' | 'observed' | 'message'> {
  const { subject, direction, threshold } = rule;
  const why = whyUnusable(rule, read, epochStartedAt, now);
  if (why !== undefined || read?.reading === undefined) {
    const since = read?.problem === undefined ? '' : ` (the last attempt: ${read.problem})`;
    const message = `${subject} has no verdict: ${why}${since}.`;
    return { status: 'insufficient-data', observed: undefined, message };
  }
  const { value, at } = read.reading;
  const breached = direction === 'above' ? value > threshold : value < threshold;
  const relation = `${breached ? '' : 'not '}${direction} ${threshold}`;
  const message = `${subject} is ${formatValue(value, threshold)} (${formatAgo(now - at)}), ${relation}.`;
  return { status: breached ? 'breach' : 'ok', observed: value, message };
}

function whyUnusable(
  { maxAgeMs }: SignalRule,
  read: SignalValue | undefined,
  epochStartedAt: number,
  now: number,
): string | undefined {
  if (read?.reading === undefined) return 'nothing has been read yet';
  const { at } = read.reading;
  if (at < epochStartedAt) return 'nothing has been read since the rollout changed';
  if (at - now > maxAgeMs) return 'the clock was set back after the latest reading';
  if (now - at > maxAgeMs) {
    return `the latest reading is from ${formatAgo(now - at)}, and one older than ${formatDuration(maxAgeMs)} is ignored`;
  }
  return undefined;
}

/** Six digits, and all of them where rounding would make the value look equal to the threshold. */
function formatValue(value: number, threshold: number): string {
  const rounded = Number(value.toPrecision(6));
  return String(rounded === threshold ? value : rounded);
}
