import type { FlagFacts } from '../../model/flags.js';
import type { Snapshot } from '../../model/shapes.js';
import { type Stage, type StageProgress, stageAt } from '../../model/stage.js';
import type { ReportedState } from '../../model/state.js';
import { evaluateStage } from './stage-criteria.js';

/** Follows a rollout through its stages: where it stands, and what is news. */
export class StageTracker {
  readonly #stages: readonly Stage[];
  #progress: StageProgress | undefined;
  /** What was told last; set it to go on where another tracker left off. */
  reported: ReportedState['stage'];

  constructor(stages: readonly Stage[]) {
    this.#stages = stages;
  }

  /** The stage that Unleash's percentage belongs to; undefined when it belongs to none or the flag is off. */
  get progress(): StageProgress | undefined {
    return this.#progress;
  }

  /**
   * Judges the current stage.
   *
   * @param openReviews - Names of the reviews that block it.
   * @returns the progress when its status is news: once for each status of a stage within an epoch, in their order.
   */
  evaluate(
    facts: FlagFacts | undefined,
    snapshot: Snapshot,
    now: number,
    openReviews: readonly string[],
  ): StageProgress | undefined {
    const current = facts?.enabled ? stageAt(this.#stages, facts.rolloutPercentage) : undefined;
    this.#progress = current && evaluateStage(this.#stages, current.index, snapshot, now, openReviews);
    if (this.#progress === undefined) return undefined;
    const { index, status } = this.#progress;
    const { epoch } = snapshot;
    const { reported } = this;
    if (reported?.epoch === epoch && reported.index === index && reported.status === status) return undefined;
    this.reported = { epoch, index, status };
    return this.#progress;
  }
}
