import { z } from 'zod';
import { controlsInForceSchema } from './control.js';
import { healthReasonSchema, healthSchema } from './health.js';
import {
  armCountsSchema,
  concentrationSchema,
  errorTypeCountSchema,
  perArm,
  verdictSchema,
} from './shapes.js';
import { stageProgressSchema, stageSchema } from './stage.js';
import { guardStateSchema, openReviewSchema } from './state.js';

/** Raised whenever the meaning of a field changes: a view may be read by another version. */
export const VIEW_VERSION = 1;

const time = z.number();

const armViewSchema = z.lazy(() =>
  z
    .object({
      counts: armCountsSchema,
      /** Of successes, in milliseconds; absent before the first. */
      p50Ms: z.number().optional(),
      p95Ms: z.number().optional(),
      p99Ms: z.number().optional(),
      /** Most frequent first, bounded. */
      errorTypes: z.array(errorTypeCountSchema).readonly(),
      lastOutcomeAt: time.optional(),
    })
    .readonly(),
);

const triggerViewSchema = z.lazy(() =>
  z
    .object({
      name: z.string(),
      severity: z.enum(['rollback', 'review']),
      /** It only says what it would have done. */
      dryRun: z.literal(true).optional(),
      /** The latest; absent before the first. A trigger of the user's may return anything. */
      verdict: verdictSchema.optional().catch(undefined),
      /** Since when the verdict has its status. */
      since: time.optional(),
      /** Of a rule on how many times the control's durations are tolerated: which of them. */
      quantiles: z
        .array(z.enum(['p50', 'p95', 'p99']))
        .readonly()
        .optional(),
      /** How far the evidence is from its threshold, 0–1 (logarithms); absent for a point rule. */
      evidence: z.number().min(0).max(1).optional(),
    })
    .readonly(),
);

/** One trigger, as it is shown. */
export interface TriggerView extends z.infer<typeof triggerViewSchema> {}

const processViewSchema = z.lazy(() =>
  z
    .object({
      instance: z.string(),
      role: z.enum(['leader', 'follower', 'standalone', 'controller']),
      /** Of this package. */
      version: z.string(),
      serviceVersion: z.string().optional(),
      /** Whether it runs the leader's rules. */
      sameRules: z.boolean(),
      lastHeardAt: time,
    })
    .readonly(),
);

/** One process of a fleet. */
export interface ProcessView extends z.infer<typeof processViewSchema> {}

const fleetViewSchema = z.lazy(() =>
  z
    .object({
      /** The leader first; of a large fleet 200, and among them those that were silent longest. */
      processes: z.array(processViewSchema).readonly(),
      /** How many of all processes are alike. */
      groups: z
        .array(
          processViewSchema
            .unwrap()
            .unwrap()
            .pick({ version: true, serviceVersion: true, sameRules: true })
            .extend({ processes: z.int().min(0) })
            .readonly(),
        )
        .readonly(),
    })
    .readonly(),
);

/** The processes of a fleet. */
export interface FleetView extends z.infer<typeof fleetViewSchema> {}

export const rolloutViewSchema = z.lazy(() =>
  z
    .object({
      version: z.literal(VIEW_VERSION),
      /** When it was made. All times are milliseconds since 1970. */
      at: time,
      flagKey: z.string(),
      project: z.string(),
      environment: z.string(),
      /** The flag's page in Unleash. */
      flagUrl: z.string(),
      dryRun: z.boolean(),
      state: guardStateSchema,
      /** Whether the guard was closed and not started since. */
      isClosed: z.boolean(),
      health: healthSchema,
      /** What is wrong in Unleash: the token, the flag, the admin API. */
      problems: z.array(healthReasonSchema).readonly(),
      /** When the admin token expires; absent when it does not, or it is not known. */
      tokenExpiresAt: time.optional(),
      /** Absent while Unleash has no such flag. */
      flag: z
        .object({
          enabled: z.boolean(),
          /** 0–100; absent when no single percentage describes the strategies. */
          percentage: z.number().optional(),
        })
        .readonly()
        .optional(),
      epoch: z.int(),
      epochStartedAt: time,
      /** The plan. */
      stages: z.array(stageSchema).readonly(),
      /** Absent when the percentage belongs to none, or the flag is off. */
      stage: stageProgressSchema.optional(),
      /** At today's rate, how long until the stage has what it needs, in milliseconds; absent when that is not known. */
      stageRemainingMs: z.number().optional(),
      /** What the stage still needs: `312 of 500 outcomes, about 40 min at this rate`; or what to do. */
      stageText: z.string().optional(),
      advance: z.enum(['manual', 'automatic']),
      /** The last stage is met. */
      isComplete: z.boolean(),
      /** Of the epoch. */
      arms: perArm(armViewSchema),
      triggers: z.array(triggerViewSchema).readonly(),
      /** Where the treatment fails, now. */
      failing: z.array(concentrationSchema).readonly(),
      openReviews: z.array(openReviewSchema).readonly().catch([]),
      controls: controlsInForceSchema,
      /** Absent when the process is alone; the leader first. */
      fleet: fleetViewSchema.optional(),
      /** Of this package, and of the service. */
      guardVersion: z.string(),
      serviceVersion: z.string().optional(),
    })
    .readonly(),
);

/**
 * Where a rollout stands, as plain data: dashboard, terminal, status and report show it. A guard writes it to its folder,
 * and the leader of a fleet to the shared store.
 */
export interface RolloutView extends z.infer<typeof rolloutViewSchema> {}
