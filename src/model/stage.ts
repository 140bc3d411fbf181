import { z } from 'zod';

export const stageSchema = z.lazy(() =>
  z
    .object({
      /** The percentage in Unleash at which this stage takes place, 0–100. */
      percentage: z.number(),
      /** Successes and failures of the treatment since the epoch began. */
      minOutcomes: z.number(),
      /** The treatment's success rate over these outcomes, a fraction 0–1. */
      minSuccessRate: z.number(),
      /** The least time since the epoch began, in milliseconds. @default 0 */
      minDurationMs: z.number().optional(),
      /** The longest time in which it is to be met, since the epoch began, in milliseconds. @default none */
      deadlineMs: z.number().optional(),
      /** What happens when it was not met in time: operators are notified, or automatic advance is held as well. @default 'notify' */
      onDeadline: z.enum(['notify', 'hold']).optional(),
    })
    .readonly(),
);

/** One step of a rollout, and what must be true before the next. */
export interface Stage extends z.infer<typeof stageSchema> {}

/** All of {@link StageStatus}. */
export const STAGE_STATUSES = ['collecting', 'met', 'missed', 'blocked'] as const;

/**
 * `collecting`: not enough outcomes or time yet. `met`: ready for the next percentage. `missed`: enough outcomes, but too
 * few of them succeeded. `blocked`: a review is open, or expected outcomes are missing; an operator must check first.
 *
 * @useDeclaredType
 */
export type StageStatus = (typeof STAGE_STATUSES)[number];

export const stageProgressSchema = z.lazy(() =>
  z
    .object({
      /** The stage, as it was declared. */
      stage: stageSchema,
      /** Its place in the plan, from 0. */
      index: z.int().min(0),
      /** Whether its criteria are met. */
      status: z.enum(STAGE_STATUSES),
      /** Successes and failures of the treatment since the epoch began. */
      outcomes: z.number().min(0),
      /** Undefined before the first outcome. */
      successRate: z.number().optional(),
      /** The time since the epoch began, in milliseconds. */
      elapsedMs: z.number(),
      /** It is met, and the guard is blind: the codes of why. Nothing is advised until that is over. */
      blind: z.array(z.string()).readonly().optional(),
      /** One sentence for an operator: what is missing, or what to do in Unleash's UI. */
      message: z.string(),
    })
    .readonly(),
);

/** How far a stage has come. */
export interface StageProgress extends z.infer<typeof stageProgressSchema> {}

/** Which stage the percentage in Unleash belongs to: the one with exactly that percentage. */
export function stageAt(
  stages: readonly Stage[],
  percentage: number | undefined,
): { readonly stage: Stage; readonly index: number } | undefined {
  const index = stages.findIndex((stage) => stage.percentage === percentage);
  return index < 0 ? undefined : { stage: stages[index]!, index };
}

/** The percentage of the last stage below `percentage`; undefined when there is none. */
export function percentageBefore(
  stages: readonly Stage[],
  percentage: number | undefined,
): number | undefined {
  if (percentage === undefined) return undefined;
  return stages.findLast((stage) => stage.percentage < percentage)?.percentage;
}
