import { z } from 'zod';
import { decisionSchema, verdictSchema } from './shapes.js';
import { STAGE_STATUSES } from './stage.js';

export const stopFailureSchema = z.lazy(() =>
  z
    .object({
      /** The code of the `AdminError`, or of what else went wrong. */
      code: z.string(),
      /** What happened, and what an operator can do about it. */
      message: z.string(),
      /** Retrying cannot help; an operator must act. */
      requiresAction: z.boolean(),
    })
    .readonly(),
);

/** A request to Unleash that did not turn the flag off. */
export interface StopFailure extends z.infer<typeof stopFailureSchema> {}

/** The guard's state: plain data that survives a restart in the journal. */
export const guardStateSchema = z.lazy(() =>
  z.discriminatedUnion('status', [
    z
      .object({
        status: z.literal('armed'),
        since: z.number(),
        /** In a dry run: the decision that would have stopped the flag in this epoch. */
        wouldHaveStopped: decisionSchema.optional(),
        /** The percentage that the guard went back from: it does not go there again by itself. */
        steppedBackFrom: z.number().optional(),
      })
      .readonly(),
    z
      .object({
        status: z.literal('stopping'),
        since: z.number(),
        decision: decisionSchema,
        /** Why Unleash is not off yet; absent before the first failed request. */
        failure: stopFailureSchema.optional(),
        /** Codes of the failures that have been reported: each is reported once. */
        reported: z.array(z.string()).readonly().optional(),
      })
      .readonly(),
    z
      .object({
        status: z.literal('stopped'),
        since: z.number(),
        decision: decisionSchema,
        /**
         * How the stop was confirmed: the guard read the flag back from Unleash, the provider's definition arrived switched off, or another
         * process of the fleet reported it; or Unleash has the flag no longer, because it was archived or deleted.
         */
        confirmedBy: z.enum(['read-back', 'definition', 'fleet', 'removed']),
        /** The provider has seen the flag off. From then on, seeing it on means that an operator turned it on. */
        seenOff: z.boolean(),
        /** The flag is still on in Unleash, at a lower percentage, which the provider has not seen yet. */
        steppedBack: z.boolean().optional(),
      })
      .readonly(),
  ]),
);

/** `armed`, `stopping` or `stopped`, with what belongs to it. */
export type GuardState = z.infer<typeof guardStateSchema>;

export const openReviewSchema = z.lazy(() =>
  z
    .object({
      /** The name of the trigger that opened it. */
      trigger: z.string(),
      /** When it was opened, milliseconds since 1970. */
      openedAt: z.number(),
      /** Where the rollout stood when the trigger breached last, 0–100; undefined when it had no single percentage. */
      percentage: z.number().optional(),
      /** The trigger's latest verdict that was a breach. */
      verdict: verdictSchema,
      /** Since when the trigger has been ok again; undefined while it breaches. */
      okSince: z.number().optional(),
      /** An operator has closed it. It opens again only after its trigger was ok for as long as closes any review. */
      acknowledged: z.boolean().optional(),
    })
    .readonly(),
);

/** A review that waits for an operator. */
export interface OpenReview extends z.infer<typeof openReviewSchema> {}

/** How far a token is from its expiry, from early to late. */
export const TOKEN_LEVELS = ['7-days', '1-day', 'expired'] as const;

/** One of {@link TOKEN_LEVELS}. */
export type TokenLevel = (typeof TOKEN_LEVELS)[number];

export const reportedStateSchema = z.lazy(() =>
  z
    .object({
      /** The stage's status that was reported last, and the stage's place in the plan, from 0; and whether the guard was blind then. */
      stage: z
        .object({
          epoch: z.int(),
          index: z.int().min(0),
          status: z.enum(STAGE_STATUSES),
          isBlind: z.literal(true).optional(),
        })
        .readonly()
        .optional(),
      openReviews: z.array(openReviewSchema).readonly(),
      /** The epoch whose stage was reported as not met in time. */
      overdueEpoch: z.int().optional(),
      /** The epoch in which the rollout was reported as complete. */
      completedEpoch: z.int().optional(),
      /** Rollback triggers in dry run that have breached in an epoch: each is reported once. */
      dryRuns: z
        .object({ epoch: z.int(), triggers: z.array(z.string()).readonly() })
        .readonly()
        .optional(),
      /** What operators were notified of last: of which expiry of the admin token, and that the guard cannot turn the flag off. */
      token: z
        .object({
          warning: z
            .object({ level: z.enum(TOKEN_LEVELS), expiresAt: z.number() })
            .readonly()
            .optional(),
          cannotStop: z.boolean().optional(),
        })
        .readonly()
        .optional(),
    })
    .readonly(),
);

/**
 * What has been reported of stages, reviews and the admin token, so that no restart reports it again and none forgets an open review: plain
 * data, for the journal, or for the next leader of a fleet.
 */
export interface ReportedState extends z.infer<typeof reportedStateSchema> {}
