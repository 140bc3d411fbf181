import { z } from 'zod';
import type { ArmCounts, Snapshot, Unit, Verdict, WindowSnapshot } from '../model/shapes.js';
import { inLast } from '../support/wording.js';

/** What a rule says of one window. */
export interface Finding {
  readonly status: Verdict['status'];
  /** The value that was compared; undefined with `insufficient-data`. */
  readonly observed?: number;
  /** One sentence for a person. */
  readonly message: string;
  /** What the rule rests on. @default the judged outcomes of the window */
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

/** Looks at the rule's window and adds to the finding what every verdict carries. */
export function evaluateWindow(
  { name, windowMs, threshold, unit, rate }: Rule,
  snapshot: Snapshot,
  now: number,
  examine: (window: WindowSnapshot) => Finding,
): Verdict {
  const window = snapshot.windows.find((candidate) => candidate.windowMs === windowMs);
  const finding: Finding =
    window === undefined
      ? { status: 'insufficient-data', message: `Nothing is known of what happened ${inLast(windowMs)}.` }
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

/** How many outcomes of an arm are judged: neither the users' own mistakes nor their aborts. */
export function countedOf({ successes, failures }: Pick<ArmCounts, 'successes' | 'failures'>): number {
  return successes + failures;
}

/** The name of a trigger: kebab-case. */
export const triggerNameSchema = z
  .string({ error: 'a kebab-case name' })
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, { error: 'a kebab-case name' });
