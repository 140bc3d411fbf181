import type { LogProblem } from '../log/read-log.js';
import type { Arm, ArmTotals, Decision, Verdict } from '../model/shapes.js';
import type { Stage, StageProgress } from '../model/stage.js';
import type { Series } from './time-series.js';

/**
 * All that a guard's folder tells of a rollout, as plain data: what the JSON report holds, and what Markdown and HTML are
 * made of. Times are milliseconds since 1970.
 */
export interface RolloutReport {
  readonly version: 1;
  /** Undefined when the folder holds neither an outcome nor a journal. */
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
  /** Success rates that the rollout was held to, for the chart. */
  readonly thresholds: readonly Threshold[];
  /** What else the guard told: starts, faults, ends. The latest 200. */
  readonly notes: readonly { readonly at: number; readonly text: string }[];
  readonly sources: Sources;
}

/** One arm over the whole log. */
export interface ArmReport extends Omit<ArmTotals, 'errorTypes' | 'lastOutcomeAt'> {
  /** Successes and failures: what is judged. */
  readonly judged: number;
  /** Undefined before the first judged outcome. */
  readonly successRate: number | undefined;
  /** Share of the judged operations in which the user got what was asked for, by whichever arm. */
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

export interface RolloutChange {
  readonly at: number;
  readonly epoch: number;
  readonly enabled: boolean;
  /** 0–100; undefined when no single percentage described the strategies. */
  readonly percentage: number | undefined;
}

/** One stage in one epoch. */
export interface StageReport {
  readonly epoch: number;
  /** What the guard said of it last. */
  readonly progress: StageProgress;
  readonly startedAt: number;
  /** Each status that it came to, in order. */
  readonly history: readonly { readonly at: number; readonly status: StageProgress['status'] }[];
  /** The treatment's judged outcomes of the whole epoch, those after the last word included. */
  readonly outcomes: number;
  readonly successRate: number | undefined;
}

/** A decision, and what became of it. */
export interface DecisionReport {
  readonly decision: Decision;
  readonly stoppedHereAt: number | undefined;
  readonly stoppedInUnleashAt: number | undefined;
  readonly confirmedBy: 'read-back' | 'definition' | 'fleet' | undefined;
  /** When the rollout was back at the percentage of the stage before, instead of off. */
  readonly steppedBackAt: number | undefined;
  /** Why Unleash did not take the stop at first. */
  readonly failures: readonly { readonly at: number; readonly code: string; readonly message: string }[];
  /** What only a person could do. */
  readonly actionRequired: string | undefined;
  /** Who turned the flag off, as Unleash's history names it. */
  readonly turnedOffBy: string | undefined;
  /** When the guard watched again: a person turned the flag on, or the step back arrived. */
  readonly reArmedAt: number | undefined;
  readonly turnedOnBy: string | undefined;
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
  /** The time that it held for; undefined for the whole rollout. */
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
  readonly eventProblems: readonly { readonly line: number; readonly reason: string }[];
}

/** Rules that are known from elsewhere than the folder. */
export interface KnownRules {
  readonly rollback: readonly { readonly name: string; readonly threshold?: number | undefined }[];
  readonly review: readonly { readonly name: string; readonly threshold?: number | undefined }[];
  readonly stages: readonly Stage[];
}
