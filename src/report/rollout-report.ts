import type { Series } from '../dashboard/api.js';
import type { DecisionStoryEntry } from '../journal/decision-story.js';
import type { LatencySummary } from '../model/baseline.js';
import type { GuardEvent } from '../model/event.js';
import type { Acknowledgement, RolloutChange } from '../model/event-entry.js';
import type { TriggerView } from '../model/rollout-view.js';
import type { Arm, Concentration, Verdict } from '../model/shapes.js';
import type { StageProgress } from '../model/stage.js';
import type { MetricRollup, RollupArm } from '../rollups/rollup.js';

/**
 * A rollout as its guards have recorded it, as plain data: the JSON report, and what Markdown and HTML are made of. Times are
 * milliseconds since 1970.
 */
export interface RolloutReport {
  readonly version: 1;
  readonly flagKey: string | undefined;
  readonly generatedAt: number;
  /** What became of the rollout, in one or two sentences. */
  readonly headline: string;
  /** In which outcomes were counted; undefined without any. */
  readonly period: { readonly from: number; readonly to: number } | undefined;
  /** Every outcome of the period. */
  readonly arms: Readonly<Record<Arm, ArmReport>>;
  readonly comparison: Comparison;
  /** Failures by error type, most frequent first. */
  readonly errorTypes: readonly ErrorTypeReport[];
  /** What metrics of the application's own add up to. */
  readonly metrics: readonly MetricRollup[];
  /** The whole rollout in at most 160 points. */
  readonly series: Series;
  /** When the percentage in Unleash changed. */
  readonly rollout: readonly RolloutChange[];
  readonly stages: readonly StageReport[];
  readonly decisions: readonly DecisionReport[];
  readonly reviews: readonly ReviewReport[];
  /** What each trigger observed last; empty when no view is there. */
  readonly triggers: readonly TriggerView[];
  /** Where the treatment fails, as of the latest decision or of now. */
  readonly failing: readonly Concentration[];
  /** Error rates at which something happens, for the chart. */
  readonly thresholds: readonly Threshold[];
  /** What else the guard reported: starts, faults, closes. The latest 200. */
  readonly notes: readonly Note[];
  readonly sources: Sources;
}

/** What the headline and the thresholds are made of. */
export type RolloutStory = Pick<RolloutReport, 'decisions' | 'reviews' | 'stages' | 'rollout'>;

/** One arm over the whole period. */
export interface ArmReport extends Omit<RollupArm, 'errorTypes' | 'latency' | 'userSuccesses'> {
  /** Counted outcomes: successes and failures. */
  readonly counted: number;
  /** Undefined before the first counted outcome. */
  readonly successRate: number | undefined;
  /** Share of the counted operations in which the user was served, by whichever arm. */
  readonly userSuccessRate: number | undefined;
  /** Of successes; undefined before the first. */
  readonly latency: LatencySummary | undefined;
}

/** The treatment against the control. A number is undefined while either arm lacks outcomes. */
export interface Comparison {
  /** The treatment's success rate minus the control's: 0.01 is one percentage point better. */
  readonly successRateDifference: number | undefined;
  /** By which fraction the treatment is faster: 0.2 is 20 % less time, −0.2 is 20 % more. */
  readonly latencyImprovement: Readonly<Record<'mean' | 'p50' | 'p95' | 'p99', number | undefined>>;
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
  /** Set when an operator closed it. */
  readonly acknowledged?: Acknowledgement | undefined;
  readonly verdict: Verdict;
}

/** An error rate above which something happens. */
export interface Threshold {
  readonly label: string;
  readonly errorRate: number;
  readonly kind: 'rollback' | 'review';
}

/** What the report was made of, and what of it could not be used. */
export interface Sources {
  /** How many guards recorded it; the leader of a fleet is one, for all processes. */
  readonly guards: number;
  readonly rollups: number;
  readonly events: number;
  readonly eventLinesLeftOut: number;
  /** Files that cannot be read, and why. */
  readonly problems: readonly string[];
}

/** What the chart needs of a rule: a rule on anything but a rate is not drawn. */
export type KnownRule = { readonly [Key in 'rate' | 'threshold']?: Verdict[Key] | undefined };

/** Rules that are known from elsewhere than the folder; triggers fit. */
export interface KnownRules {
  readonly rollback: readonly KnownRule[];
  readonly review: readonly KnownRule[];
}
