import { z } from 'zod';
import type { ControlReference } from '../model/baseline.js';
import type { ArmCounts, Unit, Verdict } from '../model/shapes.js';
import type { Snapshot, WindowSnapshot } from '../model/snapshot.js';
import { booleanSchema } from '../support/config-schemas.js';
import { defer } from '../support/data/defer.js';
import { countOf, formatAgo, formatCount, formatDuration, inLast } from '../support/wording.js';
import type { ThresholdTrigger } from './trigger.js';
import { whereItFails } from './where-it-fails.js';

/** The name of a trigger: kebab-case. */
export const triggerNameSchema = z
  .string({ error: 'a kebab-case name' })
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, { error: 'a kebab-case name' });

/** Whether a rule only says what it would have done. */
export const dryRunSchema = booleanSchema.optional();

/** The fields of `TriggerOptions`. */
export const triggerFields = (name: string) => ({
  name: triggerNameSchema.default(name),
  dryRun: dryRunSchema,
});

/** The part of a trigger that its verdicts repeat. */
export interface Rule {
  readonly name: string;
  readonly windowMs: number;
  readonly threshold: number;
  readonly unit: Unit;
  readonly rate?: Verdict['rate'];
  readonly dryRun?: boolean | undefined;
}

/** What a rule finds in a snapshot. */
export interface Finding {
  readonly status: Verdict['status'];
  /** The value that was compared; undefined with `insufficient-data`. */
  readonly observed?: number | undefined;
  /** One sentence for an operator. A function is called when the sentence is first read. */
  readonly message: string | (() => string);
  /** What the rule rests on. @default the counted outcomes of the window */
  readonly sampleSize?: Verdict['sampleSize'] | undefined;
  /** For a broken limit. */
  readonly blame?: Verdict['blame'];
  /** The figures of a sequential test. */
  readonly evidence?: Verdict['evidence'];
}

/** The trigger of a rule on one sliding window. */
export function windowTrigger<R extends Rule>(
  rule: R,
  examine: (window: WindowSnapshot, snapshot: Snapshot, now: number) => Finding,
): R & ThresholdTrigger {
  const { windowMs } = rule;
  const missing: Finding = {
    status: 'insufficient-data',
    message: `No verdict: the store has no window of ${formatDuration(windowMs)}.`,
  };
  return Object.freeze({
    ...rule,
    evaluate(snapshot: Snapshot, now: number): Verdict {
      const window = snapshot.windows.find((candidate) => candidate.windowMs === windowMs);
      if (window === undefined) return verdictOf(rule, missing, NO_SAMPLE, snapshot, now);
      const finding = examine(window, snapshot, now);
      const counted = { treatment: countedOf(window.treatment), control: countedOf(window.control) };
      return verdictOf(rule, finding, finding.sampleSize ?? counted, snapshot, now);
    },
  });
}

/** A finding with what every verdict on outcomes carries. A rule without a window has examined the whole epoch. */
export function verdictOf(
  { name, windowMs, threshold, unit, rate }: Rule,
  { status, observed, message, blame, evidence }: Finding,
  sampleSize: Verdict['sampleSize'],
  snapshot: Snapshot,
  now: number,
): Verdict {
  const { lastOutcomeAt } = snapshot.total.treatment;
  const isDeferred = typeof message === 'function';
  const verdict = {
    trigger: name,
    status,
    observed,
    threshold,
    unit,
    rate,
    sampleSize,
    windowMs: windowMs > 0 ? windowMs : Math.max(0, now - snapshot.epochStartedAt),
    freshnessMs: lastOutcomeAt === undefined ? undefined : Math.max(0, now - lastOutcomeAt),
    message: isDeferred ? '' : message,
    blame,
    evidence,
    failing: undefined as Verdict['failing'],
  };
  if (isDeferred) defer(verdict, 'message', message);
  const { details } = snapshot;
  if (status === 'breach' && details !== undefined) {
    defer(verdict, 'failing', () => whereItFails(details, evidence?.since));
  }
  return verdict;
}

export const NO_SAMPLE = { treatment: 0, control: 0 } as const;

/** The finding while there is too little data. */
export function noVerdict(subject: string, why: string, leftOut = ''): Finding {
  return { status: 'insufficient-data', message: `No verdict on ${subject} yet: ${why}.${leftOut}` };
}

/** The finding while the window has fewer counted outcomes of the treatment than a rate needs. */
export function tooFewOutcomes(
  rateName: string,
  counted: number,
  minOutcomes: number,
  windowMs: number,
): Finding {
  const found = `${formatCount(counted)} of ${countOf(minOutcomes, 'outcome')} of the treatment ${inLast(windowMs)}`;
  return noVerdict(`the ${rateName}`, found);
}

/** The counted outcomes of an arm: successes and failures, neither the users' own mistakes nor their aborts. */
export function countedOf({ successes, failures }: Pick<ArmCounts, 'successes' | 'failures'>): number {
  return successes + failures;
}

/** The control that the treatment is compared with, and the words that name it. */
interface ControlSample<Counts> {
  readonly counts: Counts;
  readonly size: number;
  readonly words: string;
}

/**
 * The control of the same time if it has enough outcomes, else the recorded one of an earlier time, if that has.
 *
 * @param sameTime - Follows the size in the words for the former.
 */
export function controlOf<Counts>(
  current: Counts,
  recorded: (Counts & ControlReference) | undefined,
  minOutcomes: number,
  now: number,
  sizeOf: (counts: Counts) => number,
  sameTime: string,
): ControlSample<Counts> | undefined {
  const size = sizeOf(current);
  if (size >= minOutcomes) return { counts: current, size, words: `${size} ${sameTime}` };
  const earlier = recorded === undefined ? 0 : sizeOf(recorded);
  if (recorded === undefined || earlier < minOutcomes) return undefined;
  const when = recorded.during === 'flag-off' ? 'while the flag was off' : 'beside the treatment';
  const age = formatAgo(now - recorded.until);
  const words = `${countOf(earlier, 'outcome')} of the control ${when}, the last ${age}`;
  return { counts: recorded, size: earlier, words };
}
