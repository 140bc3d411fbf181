/** One step of a rollout, and what must hold before the next. */
export interface Stage {
  /** The percentage in Unleash at which this stage takes place, 0–100. */
  readonly percentage: number;
  /** Judged outcomes of the treatment since the epoch began. */
  readonly minOutcomes: number;
  /** The treatment's success rate over these outcomes, a fraction 0–1. */
  readonly minSuccessRate: number;
  /** The least time since the epoch began, in milliseconds. @default 0 */
  readonly minDurationMs?: number | undefined;
}

/** All of {@link StageStatus}. */
export const STAGE_STATUSES = ['collecting', 'met', 'missed', 'blocked'] as const;

/**
 * `collecting`: not enough outcomes or time yet. `met`: go on to the next percentage. `missed`: enough outcomes, but too
 * few of them succeeded. `blocked`: a review is open, or outcomes that should have come are missing; a person must look
 * first.
 */
export type StageStatus = (typeof STAGE_STATUSES)[number];

/** How far a stage has come. */
export interface StageProgress {
  readonly stage: Stage;
  /** Its place in the plan, from 0. */
  readonly index: number;
  readonly status: StageStatus;
  readonly outcomes: number;
  /** Undefined before the first outcome. */
  readonly successRate: number | undefined;
  readonly elapsedMs: number;
  /** One sentence for a person: what is missing, or what to do in Unleash's UI. */
  readonly message: string;
}

/** The stage's status that was told last. */
export interface ReportedStage {
  readonly epoch: number;
  /** The stage's place in the plan, from 0. */
  readonly index: number;
  readonly status: StageStatus;
}

/** Which stage the percentage in Unleash belongs to: the one with exactly that percentage. */
export function stageAt(
  stages: readonly Stage[],
  percentage: number | undefined,
): { readonly stage: Stage; readonly index: number } | undefined {
  const index = stages.findIndex((stage) => stage.percentage === percentage);
  const stage = stages[index];
  return stage === undefined ? undefined : { stage, index };
}

/** The percentage of the last stage below `percentage`; undefined when there is none. */
export function percentageBefore(
  stages: readonly Stage[],
  percentage: number | undefined,
): number | undefined {
  if (percentage === undefined) return undefined;
  return stages.findLast((stage) => stage.percentage < percentage)?.percentage;
}
