import { z } from 'zod';
import type { ControlReference } from '../model/baseline.js';
import type { ArmCounts, Snapshot, Unit, Verdict, WindowSnapshot } from '../model/shapes.js';
import { countOf, formatAgo, formatDuration, inLast } from '../support/wording.js';

/** What a rule finds in one window. */
export interface Finding {
  readonly status: Verdict['status'];
  /** The value that was compared; undefined with `insufficient-data`. */
  readonly observed?: number;
  /** One sentence for an operator. */
  readonly message: string;
  /** What the rule rests on. @default the counted outcomes of the window */
  readonly sampleSize?: Verdict['sampleSize'];
}

/** The part of a rule that its verdicts repeat. */
export interface Rule {
  readonly name: string;
  readonly windowMs: number;
  readonly threshold: number;
  readonly unit: Unit;
  readonly rate?: Verdict['rate'];
}

/** Examines the rule's window and adds to the finding what every verdict carries. */
export function evaluateWindow(
  { name, windowMs, threshold, unit, rate }: Rule,
  snapshot: Snapshot,
  now: number,
  examine: (window: WindowSnapshot) => Finding,
): Verdict {
  const window = snapshot.windows.find((candidate) => candidate.windowMs === windowMs);
  const finding: Finding =
    window === undefined
      ? {
          status: 'insufficient-data',
          message: `No verdict: the store has no window of ${formatDuration(windowMs)}.`,
        }
      : examine(window);
  const { lastOutcomeAt } = snapshot.total.treatment;
  return {
    trigger: name,
    status: finding.status,
    observed: finding.observed,
    threshold,
    unit,
    rate,
    sampleSize: finding.sampleSize ?? {
      treatment: window === undefined ? 0 : countedOf(window.treatment),
      control: window === undefined ? 0 : countedOf(window.control),
    },
    windowMs,
    freshnessMs: lastOutcomeAt === undefined ? undefined : Math.max(0, now - lastOutcomeAt),
    message: finding.message,
  };
}

/** The counted outcomes of an arm: successes and failures, neither the users' own mistakes nor their aborts. */
export function countedOf({ successes, failures }: Pick<ArmCounts, 'successes' | 'failures'>): number {
  return successes + failures;
}

/** The finding while the window has fewer counted outcomes of the treatment than a rate needs. */
export function tooFewOutcomes(
  rateName: string,
  counted: number,
  minOutcomes: number,
  windowMs: number,
): Finding {
  const found = `${counted} of ${countOf(minOutcomes, 'outcome')} of the treatment ${inLast(windowMs)}`;
  return { status: 'insufficient-data', message: `No verdict on the ${rateName} yet: ${found}.` };
}

/** Names a control of an earlier time, with its age and size: a message names what the verdict rests on. */
export function describeReference({ during, until }: ControlReference, size: number, now: number): string {
  const when = during === 'flag-off' ? 'while the flag was off' : 'beside the treatment';
  return `${countOf(size, 'outcome')} of the control ${when}, the last ${formatAgo(now - until)}`;
}

/** The name of a trigger: kebab-case. */
export const triggerNameSchema = z
  .string({ error: 'a kebab-case name' })
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, { error: 'a kebab-case name' });
