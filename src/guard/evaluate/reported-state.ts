import { z } from 'zod';
import { type ReportedStage, STAGE_STATUSES } from '../../model/stage.js';
import type { OpenReview } from './reviews.js';

/**
 * What has been told of stages and reviews, so that no restart tells it again and none forgets an open review: plain
 * data, for the journal, or for the next process of a fleet that judges.
 */
export interface ReportedState {
  readonly stage?: ReportedStage | undefined;
  readonly openReviews: readonly OpenReview[];
}

const verdictSchema = z.looseObject({
  trigger: z.string(),
  status: z.enum(['ok', 'insufficient-data', 'breach']),
  threshold: z.number(),
  message: z.string(),
});

/** For memories from outside this process; the output is a {@link ReportedState}. */
export const reportedStateSchema = z.object({
  told: z.object({ epoch: z.int(), index: z.int().min(0), status: z.enum(STAGE_STATUSES) }).optional(),
  openReviews: z.array(
    z.object({
      trigger: z.string(),
      openedAt: z.number(),
      percentage: z.number().optional(),
      verdict: verdictSchema,
      okSince: z.number().optional(),
    }),
  ),
});

/** @throws ZodError when the value is no memory. */
export function parseReportedState(value: unknown): ReportedState {
  return reportedStateSchema.parse(value) as unknown as ReportedState;
}

/** Equal for two memories between which nothing happened that must survive: fresh figures of an open review are not. */
export function reportedKey({ stage, openReviews }: ReportedState): string {
  const reviews = openReviews.map(({ verdict: _, ...review }) => review);
  return JSON.stringify([stage, reviews]);
}
