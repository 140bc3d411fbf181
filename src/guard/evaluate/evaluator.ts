import type { FlagFacts } from '../../model/flags.js';
import type { SignalValue, Snapshot, Verdict } from '../../model/shapes.js';
import type { Stage, StageProgress } from '../../model/stage.js';
import type { OpenReview, ReportedState } from '../../model/state.js';
import type { Trigger } from '../../triggers/trigger.js';
import type { GuardRecords } from '../records/guard-records.js';

import { stepReviews } from './reviews.js';
import { StageTracker } from './stage-tracker.js';

/** What {@link Evaluator} works with. */
export interface EvaluatorOptions {
  readonly rollback: readonly Trigger[];
  readonly review: readonly Trigger[];
  readonly reviewCloseAfterMs: number;
  readonly stages: readonly Stage[];
  readonly records: GuardRecords;
  /** What triggers read elsewhere, which no store knows. @default nothing */
  readonly signals?: { values(now: number): readonly SignalValue[] } | undefined;
}

/** Applies the user's triggers and stages to snapshots, and remembers what they said last. */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #stageTracker: StageTracker;
  #rollbackVerdicts: readonly Verdict[] = [];
  #reviewVerdicts: readonly Verdict[] = [];
  #openReviews: readonly OpenReview[] = [];

  constructor(options: EvaluatorOptions) {
    this.#options = options;
    this.#stageTracker = new StageTracker(options.stages);
  }

  /** What each trigger said last: those that roll back, then the reviews. */
  get verdicts(): readonly Verdict[] {
    return [...this.#rollbackVerdicts, ...this.#reviewVerdicts];
  }

  get openReviews(): readonly OpenReview[] {
    return this.#openReviews;
  }

  get stage(): StageProgress | undefined {
    return this.#stageTracker.progress;
  }

  /**
   * The rollback verdicts that breach.
   *
   * @param scope - `instance`: only by the rules that look at what is this process's own.
   */
  breaches(snapshot: Snapshot, now: number, scope: 'all' | 'instance' = 'all'): readonly Verdict[] {
    const { rollback } = this.#options;
    const rules = scope === 'all' ? rollback : rollback.filter((rule) => rule.scope === 'instance');
    this.#rollbackVerdicts = this.#evaluate(rules, snapshot, now);
    return this.#rollbackVerdicts.filter(({ status }) => status === 'breach');
  }

  /** Drops the open reviews without a word. */
  forgetReviews(): void {
    this.#openReviews = [];
  }

  /** What must not be forgotten when another judge goes on from here: after a restart, or in another process. */
  get memory(): ReportedState {
    return { stage: this.#stageTracker.reported, openReviews: this.#openReviews };
  }

  /** Goes on from where another judge left off. Triggers that this one does not have are left out. */
  restore({ stage, openReviews }: ReportedState): void {
    const known = new Set(this.#options.review.map(({ name }) => name));
    this.#stageTracker.reported = stage;
    this.#openReviews = openReviews.filter(({ trigger }) => known.has(trigger));
  }

  /**
   * Looks at reviews and the stage, and tells what is news.
   *
   * @returns whether the {@link memory} has changed in what must survive this process.
   */
  review(snapshot: Snapshot, facts: FlagFacts | undefined, now: number): boolean {
    const { review, reviewCloseAfterMs, records } = this.#options;
    const { epoch } = snapshot;
    const before = reportedKey(this.memory);
    this.#reviewVerdicts = this.#evaluate(review, snapshot, now);
    const step = stepReviews(this.#openReviews, this.#reviewVerdicts, facts, now, reviewCloseAfterMs);
    this.#openReviews = step.open;
    for (const verdict of step.opened) records.emit({ type: 'review-opened', at: now, epoch, verdict });
    for (const verdict of step.closed) records.emit({ type: 'review-closed', at: now, epoch, verdict });
    const reasons = step.open.map(({ verdict }) => verdict.message);
    const progress = this.#stageTracker.evaluate(facts, snapshot, now, reasons);
    if (progress !== undefined) records.emit({ type: 'stage', at: now, epoch, progress });
    return reportedKey(this.memory) !== before;
  }

  #evaluate(triggers: readonly Trigger[], counted: Snapshot, now: number): Verdict[] {
    const signals = this.#options.signals?.values(now) ?? [];
    const snapshot = signals.length === 0 ? counted : { ...counted, signals };
    return triggers.flatMap((trigger) => {
      try {
        const verdict = trigger.evaluate(snapshot, now);
        if (typeof verdict?.status !== 'string') throw new TypeError('it returned no verdict');
        const unit = verdict.unit ?? trigger.unit ?? 'none';
        // No copy of a complete verdict: some of its properties are computed when they are first read.
        return [verdict.unit === unit ? (verdict as Verdict) : { ...verdict, unit }];
      } catch (error) {
        this.#options.records.fault(`the trigger ${trigger.name}`, error);
        return [];
      }
    });
  }
}

/** Equal for two states between which nothing happened that must survive: fresh figures of an open review are not. */
function reportedKey({ stage, openReviews }: ReportedState): string {
  const reviews = openReviews.map(({ verdict: _, ...review }) => review);
  return JSON.stringify([stage, reviews]);
}
