import type { AuditProblem } from '../journal/audit-reader.js';
import type { DecisionStoryEntry } from '../journal/decision-story.js';
import type { LogProblem } from '../log/read-log.js';
import type { GuardEvent } from '../model/event.js';
import type { RolloutChange } from '../model/event-entry.js';
import type { Arm, Verdict } from '../model/shapes.js';
import type { ArmTotals } from '../model/snapshot.js';
import type { StageProgress } from '../model/stage.js';
import type { Series } from './time-series.js';

/**
 * Everything that a guard's folder contains about a rollout, as plain data: the JSON report, and what Markdown and HTML are made
 * of. Times are milliseconds since 1970.
 */
export interface RolloutReport {
  readonly version: 1;
  /** Undefined when the folder has neither an outcome nor an event. */
  readonly flagKey: string | undefined;
  readonly generatedAt: number;
  /** What became of the rollout, in one or two sentences. */
  readonly headline: string;
  /** Of the outcomes; undefined without any. */
  readonly period: { readonly from: number; readonly to: number } | undefined;
  readonly arms: Readonly<Record<Arm, ArmReport>>;
  readonly comparison: Comparison;
  /** The users' complaints that could be attributed to an arm. */
  readonly complaints: Readonly<Record<Arm, number>>;
  /** By the application's own word for the path that served the user; at most 20, the rest is under `other`. */
  readonly executionTypes: readonly ExecutionTypeReport[];
  /** Failures by error type, most frequent first. */
  readonly errorTypes: readonly ErrorTypeReport[];
  readonly series: Series;
  /** When the percentage in Unleash changed. */
  readonly rollout: readonly RolloutChange[];
  readonly stages: readonly StageReport[];
  readonly decisions: readonly DecisionReport[];
  readonly reviews: readonly ReviewReport[];
  /** Success rates at which something happens, for the chart. */
  readonly thresholds: readonly Threshold[];
  /** What else the guard reported: starts, faults, closes. The latest 200. */
  readonly notes: readonly Note[];
  readonly sources: Sources;
}

/** What the headline and the thresholds are made of. */
export type RolloutStory = Pick<RolloutReport, 'decisions' | 'reviews' | 'stages' | 'rollout'>;

/** One arm over the whole log. */
export interface ArmReport extends Omit<ArmTotals, 'errorTypes' | 'lastOutcomeAt'> {
  /** Counted outcomes: successes and failures. */
  readonly counted: number;
  /** Undefined before the first counted outcome. */
  readonly successRate: number | undefined;
  /** Share of the counted operations in which the user was served, by whichever arm. */
  readonly userSuccessRate: number | undefined;
}

/** The treatment against the control. A number is undefined while either arm lacks outcomes. */
export interface Comparison {
  /** The treatment's success rate minus the control's: 0.01 is one percentage point better. */
  readonly successRateDifference: number | undefined;
  /** By which fraction the treatment is faster: 0.2 is 20 % less time, −0.2 is 20 % more. */
  readonly latencyImprovement: Readonly<Record<'mean' | 'p50' | 'p95' | 'p99', number | undefined>>;
}

/** How one path fared for the users that it served: a fallback that worked is a success of the fallback's path. */
export interface ExecutionTypeReport {
  readonly executionType: string;
  readonly count: number;
  readonly successRate: number | undefined;
  readonly meanMs: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p95Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

export interface ErrorTypeReport extends Readonly<Record<Arm, number>> {
  readonly errorType: string;
}

/** One stage in one epoch. */
export interface StageReport {
  readonly epoch: number;
  /** What the guard reported of it last. */
  readonly progress: StageProgress;
  readonly startedAt: number;
  /** Each status that it came to, in order. */
  readonly history: readonly { readonly at: number; readonly status: StageProgress['status'] }[];
  /** The treatment's counted outcomes of the whole epoch, those after the last report included. */
  readonly outcomes: number;
  readonly successRate: number | undefined;
}

/** A decision, and what became of it. */
export interface DecisionReport extends DecisionStoryEntry {}

/** Something that the guard reported and that has no other place in the report. */
export interface Note {
  readonly at: number;
  readonly type: GuardEvent['type'];
  readonly text: string;
}

export interface ReviewReport {
  readonly epoch: number;
  readonly openedAt: number;
  /** Undefined while it is open. */
  readonly closedAt: number | undefined;
  readonly verdict: Verdict;
}

/** A success rate below which something happens. */
export interface Threshold {
  readonly label: string;
  readonly successRate: number;
  readonly kind: 'rollback' | 'review' | 'stage';
  /** When it applied; undefined for the whole rollout. */
  readonly during: { readonly from: number; readonly to: number } | undefined;
}

/** What the report was made of, and what of it could not be used. */
export interface Sources {
  readonly outcomes: number;
  readonly outcomeLinesLeftOut: number;
  /** Outcomes of other flags than the guard's, which are left out as well. */
  readonly outcomesOfOtherFlags: number;
  readonly outcomeLinesOutOfOrder: number;
  /** The first 20. */
  readonly outcomeProblems: readonly LogProblem[];
  readonly events: number;
  readonly eventLinesLeftOut: number;
  readonly eventProblems: readonly AuditProblem[];
}

/** What the chart needs of a rule: a rule on anything but a rate is not drawn. */
export type KnownRule = { readonly [Key in 'rate' | 'threshold']?: Verdict[Key] | undefined };

/** Rules that are known from elsewhere than the folder; triggers fit. */
export interface KnownRules {
  readonly rollback: readonly KnownRule[];
  readonly review: readonly KnownRule[];
}
