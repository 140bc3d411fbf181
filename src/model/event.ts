import { z } from 'zod';
import { alertSchema, controlSchema } from './control.js';
import { healthReasonSchema, healthSchema } from './health.js';
import { ARMS, attributesSchema, decisionSchema, verdictSchema } from './shapes.js';
import { stageProgressSchema } from './stage.js';
import { stopFailureSchema, TOKEN_LEVELS } from './state.js';

const event = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z
    .object({
      type: z.literal(type),
      /** Milliseconds since 1970. */
      at: z.number(),
      ...shape,
    })
    .readonly();
const epoch = z.number();
const decisionId = z.string();
const percentage = z.number();

/**
 * Everything that a guard reports: to the audit log, to its logger, to notifiers and to listeners. `at` is milliseconds since
 * 1970. `event-table.ts` has the words of each.
 */
export const guardEventSchema = z.lazy(() =>
  z.discriminatedUnion(
    'type',
    [
      // The guard is running; `status` is what the journal of an earlier run left behind.
      event('started', { epoch, status: z.enum(['armed', 'stopping', 'stopped']) }),
      // The rollout changed in Unleash: another percentage, strategy, or on/off.
      event('rollout-changed', { epoch, enabled: z.boolean(), rolloutPercentage: percentage.optional() }),
      // Triggers breached: why, with the evidence. `by`: another process of the fleet decided. In a dry run nothing follows.
      event('decided', { decision: decisionSchema, by: z.literal('fleet').optional() }),
      // A decision no longer applies: another one does in its place, or, without `replacedBy`, the fleet has refused it as too late.
      event('superseded', { decisionId, replacedBy: decisionId.optional() }),
      // The store that the fleet shares went away, and why, or came back.
      event('fleet-connection', { problem: z.string().optional() }),
      // This process answers `false` from now on.
      event('stopped-here', { decisionId }),
      // A request to Unleash failed; the guard tries again. Reported once per stop and code.
      event('stop-failed', { decisionId, failure: stopFailureSchema }),
      // Only an operator can finish the stop: the message explains how. Reported once per stop and cause.
      event('action-required', { decisionId, message: z.string() }),
      // The flag is off in Unleash.
      event('stopped', { decisionId, confirmedBy: z.enum(['read-back', 'definition', 'fleet', 'removed']) }),
      // The guard went back to the percentage of the stage before; it re-arms when the provider has seen that.
      event('stepped-back', { decisionId, from: percentage.optional(), to: percentage.optional() }),
      // The guard cannot turn the flag off now: Unleash refuses its token or does not answer. Once for each cause.
      event('admin-unavailable', { code: z.string(), message: z.string() }),
      // It could again.
      event('admin-available', {}),
      // The admin token expires, or has expired. Once per level. `candidates`: of so many tokens of this user, the first expires then.
      event('token-expiring', {
        level: z.enum(TOKEN_LEVELS),
        expiresAt: z.number(),
        user: z.string().optional(),
        candidates: z.int(),
        // An earlier run has notified operators.
        isRepeated: z.boolean(),
      }),
      // There is nothing to guard: Unleash has no such flag here, or does not send it to the service. Once until it is found.
      event('flag-missing', {
        reason: z.enum(['not-found', 'archived', 'deleted', 'moved', 'environment', 'not-received']),
        message: z.string(),
        // The stop that was in force, and that this guard can no longer see the end of.
        decisionId: decisionId.optional(),
      }),
      // The flag is there again, in Unleash and in the service.
      event('flag-found', {}),
      // The flag was turned off or on in Unleash. `by` and `changedAt`: whose token or user it was, and when, as Unleash's history has it.
      // `decisionId`: the guard's own stop that this off has finished, or this on has ended.
      event('toggled', {
        change: z.enum(['off', 'on']),
        by: z.string().optional(),
        changedAt: z.number().optional(),
        rolloutPercentage: percentage.optional(),
        decisionId: decisionId.optional(),
        // A guard has the name `by` in Unleash's history: of another process, of an earlier run, or this one.
        isGuards: z.literal(true).optional(),
      }),
      // An operator turned the flag on again after this stop, or its step back has arrived: a new epoch, with empty windows.
      event('re-armed', { epoch, decisionId, steppedBack: z.literal(true).optional() }),
      // A stage began, or its status changed; with `met`, the message explains what to do in Unleash.
      event('stage', { epoch, progress: stageProgressSchema }),
      // The guard moved the percentage in Unleash: a stage was met and `advance` is `automatic`, or an operator (`by`) asked for it.
      event('advanced', { epoch, from: percentage, to: percentage, by: z.string().optional() }),
      // A stage is met, and automatic advance waits: why. Once for a stage and cause.
      event('advance-waiting', { epoch, from: percentage, to: percentage, reason: z.string() }),
      // A stage was not met in time. Once within an epoch.
      event('stage-overdue', { epoch, progress: stageProgressSchema }),
      // The last stage is met. Once within an epoch.
      event('completed', { epoch, percentage }),
      // An operator asked for something, or the guard held the rollout by itself; `refused`: why it was not done.
      event('control', { control: controlSchema, refused: z.string().optional() }),
      // A monitoring system reported an alert that began to fire, or is resolved. Once for each.
      event('alert', { alert: alertSchema }),
      // A mute is over: its time has passed.
      event('mute-expired', { trigger: z.string() }),
      // A review trigger breached. Reported once until it is closed.
      event('review-opened', { epoch, verdict: verdictSchema }),
      // The reason for the review is gone.
      event('review-closed', { epoch, verdict: verdictSchema }),
      // A user complained who got this arm in this epoch.
      event('complaint', { epoch, arm: z.enum(ARMS), attributes: attributesSchema.optional() }),
      // The guard became blind, for another reason too, or sees again. `began`: the codes of the reasons that are new.
      event('health', {
        ...healthSchema.unwrap().unwrap().shape,
        began: z.array(z.string()).readonly(),
        ended: z.array(healthReasonSchema).readonly(),
      }),
      // Something beside the stop itself does not work: the folder, a listener, an option's function. Reported once per outage,
      // and each hour while it lasts; `count` is how often it failed since the last report, if more than once.
      event('fault', { what: z.string(), message: z.string(), count: z.int().optional() }),
      // What a fault had reported works again.
      event('recovered', { what: z.string(), faults: z.int() }),
      // The guard's folder is in use by another guard, or cannot be used: where this one keeps its files instead, if anywhere.
      event('folder-changed', { folder: z.string().optional(), reason: z.string() }),
      // A stop that another process of this folder had not finished when it ended is finished by this one.
      event('stop-taken-over', { decisionId, folder: z.string() }),
      // `guard.close()` was called.
      event('closed', {}),
    ],
    { error: 'an event of a type that this version does not have' },
  ),
);

/** What a guard reports: `type` is its kind, and docs/operations.md says when each is reported. */
export type GuardEvent = z.infer<typeof guardEventSchema>;

/** The event of one type. */
export type GuardEventOf<Type extends GuardEvent['type']> = Extract<GuardEvent, { type: Type }>;

/** Receives a guard's events. What it throws is reported and goes no further. */
export type GuardListener = (event: GuardEvent) => void;
