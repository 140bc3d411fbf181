import { randomUUID } from 'node:crypto';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import { describeFailing } from '../../model/concentration.js';
import type { FlagFacts } from '../../model/flags.js';
import type { Decision, Verdict } from '../../model/shapes.js';
import { countedIn, type Snapshot } from '../../model/snapshot.js';
import { percentageBefore, type Stage } from '../../model/stage.js';
import type { Evaluator } from './evaluator.js';

/** What is evaluated: a live guard, a recorded log, or a simulated rollout. Functions are called for each evaluation. */
interface EvaluatedRollout {
  readonly store: Pick<MemoryOutcomeStore, 'snapshot'>;
  readonly evaluator: Evaluator;
  readonly stages: readonly Stage[];
  readonly onRollback: 'disable' | 'previous-stage';
  readonly dryRun: boolean;
  /** Undefined while the flag's definition is not known. */
  readonly facts: () => FlagFacts | undefined;
  /** Whether rollback triggers are evaluated now. */
  readonly isEvaluating: () => boolean;
  /** Whether reviews and the stage are evaluated now. */
  readonly isReviewing: () => boolean;
  /** `instance`: only the rollback triggers about the process itself. @default 'all' */
  readonly scope?: () => 'all' | 'instance';
  /** Rollback triggers breached: those that act, or for the first time in the epoch some that are in dry run. */
  readonly onDecision: (decision: Decision) => void;
  /** What has been reported of reviews or the stage has changed. */
  readonly onReported?: () => void;
}

/**
 * From outcomes to a decision: snapshot → rollback verdicts → decision, and on a tick also reviews and the stage. It has no
 * timer and no clock: a guard, a replay and a simulation each drive it at their own time.
 */
export class RolloutEvaluation {
  readonly #rollout: EvaluatedRollout;

  constructor(rollout: EvaluatedRollout) {
    this.#rollout = rollout;
  }

  /** After outcomes: evaluates the rollback triggers. */
  evaluate(now: number): void {
    const { store, isEvaluating } = this.#rollout;
    if (isEvaluating()) this.#decide(store.snapshot(now));
  }

  /** On every tick, so that silence and memory are noticed too: evaluates the rollback triggers, reviews and the stage. */
  tick(now: number): void {
    const { store, evaluator, isEvaluating, isReviewing, facts, onReported } = this.#rollout;
    if (!isEvaluating() && !isReviewing()) return;
    const snapshot = store.snapshot(now);
    if (isEvaluating()) this.#decide(snapshot);
    // A decision ends the reviews.
    if (isReviewing() && evaluator.review(snapshot, facts())) onReported?.();
  }

  #decide(snapshot: Snapshot): void {
    const { evaluator, scope, onDecision, dryRun } = this.#rollout;
    const breaches = evaluator.breaches(snapshot, scope?.() ?? 'all');
    // First: after a decision to act, the rollout is over.
    const dryRuns = evaluator.newDryRuns(snapshot);
    if (dryRuns.length > 0) onDecision(this.#decisionOn(dryRuns, snapshot, true));
    if (breaches.length > 0) onDecision(this.#decisionOn(breaches, snapshot, dryRun));
  }

  #decisionOn(breaches: readonly Verdict[], snapshot: Snapshot, dryRun: boolean): Decision {
    const { facts, stages, onRollback } = this.#rollout;
    const rolloutPercentage = facts()?.rolloutPercentage;
    const before = percentageBefore(stages, rolloutPercentage);
    const toPercentage = onRollback === 'previous-stage' ? before : undefined;
    const { flagKey, at, epoch, total } = snapshot;
    return {
      id: randomUUID(),
      flagKey,
      ...(toPercentage === undefined ? { action: 'stop' } : { action: 'step-back', toPercentage }),
      dryRun,
      at,
      epoch,
      rolloutPercentage,
      verdicts: breaches,
      ...countedIn(total),
      reason: breaches.map((verdict) => verdict.message).join(' ') + describeFailing(breaches),
    };
  }
}
