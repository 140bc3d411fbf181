import { z } from 'zod';
import { STAGE_STATUSES, type StageTold } from '../../model/stage.js';
import type { OpenReview } from './reviews.js';

/**
 * What has been told of stages and reviews, so that no restart tells it again and none forgets an open review: plain
 * data, for the journal, or for the next process of a fleet that judges.
 */
export interface JudgeMemory {
  readonly told?: StageTold | undefined;
  readonly openReviews: readonly OpenReview[];
}

const verdictSchema = z.looseObject({
  trigger: z.string(),
  status: z.enum(['ok', 'insufficient-data', 'breach']),
  threshold: z.number(),
  message: z.string(),
});

/** For memories from outside this process; the output is a {@link JudgeMemory}. */
export const judgeMemorySchema = z.object({
  told: z.object({ epoch: z.int(), index: z.int().min(0), status: z.enum(STAGE_STATUSES) }).optional(),
  openReviews: z.array(
    z.object({
      trigger: z.string(),
      openedAt: z.number(),
      percentage: z.number().optional(),
      verdict: verdictSchema,
      contentSince: z.number().optional(),
    }),
  ),
});

/** @throws ZodError when the value is no memory. */
export function parseJudgeMemory(value: unknown): JudgeMemory {
  return judgeMemorySchema.parse(value) as unknown as JudgeMemory;
}

/** Equal for two memories between which nothing happened that must survive: fresh figures of an open review are not. */
export function memoryKey({ told, openReviews }: JudgeMemory): string {
  const reviews = openReviews.map(({ verdict: _, ...review }) => review);
  return JSON.stringify([told, reviews]);
}
