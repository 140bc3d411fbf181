import { z } from 'zod';
import { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import { UNITS } from '../../model/shapes.js';
import type { Stage } from '../../model/stage.js';
import { isRecord, parseConfig } from '../../support/config-error.js';
import {
  booleanSchema,
  countSchema,
  durationMsSchema,
  percentageSchema,
  rateSchema,
} from '../../support/config-schemas.js';
import type { Trigger } from '../../triggers/trigger.js';

/** The triggers and stages of a rollout: the part of a guard's options that a replay needs as well. */
export interface RolloutRules {
  readonly rollback: readonly Trigger[];
  readonly review: readonly Trigger[];
  readonly reviewCloseAfterMs: number;
  readonly stages: readonly Stage[];
}

const TRIGGER_NAME = 'a name, for example successes-of-large-files';
const WINDOW = 'a number of milliseconds, or 0 for a rule without a window';
const TRIGGERS = 'a list of triggers, for example [successRateBelow(0.95)]';

/** The fields of a trigger that a user wrote. Those that only this package's triggers have are not checked. */
const triggerFieldsSchema = z.object({
  name: z.string({ error: TRIGGER_NAME }).regex(/\S/, { error: TRIGGER_NAME }),
  windowMs: z.custom((value) => value === 0 || durationMsSchema.safeParse(value).success, { error: WINDOW }),
  evaluate: z.custom((value) => typeof value === 'function', {
    error: 'a function (snapshot, now) => verdict',
  }),
  unit: z.enum(UNITS, { error: `one of ${UNITS.join(', ')}` }).optional(),
  scope: z.enum(['fleet', 'instance'], { error: "'fleet' or 'instance'" }).optional(),
  dryRun: booleanSchema.optional(),
  criticalErrorTypes: z
    .array(z.string({ error: 'an error type' }), { error: 'a list of error types' })
    .optional(),
  signal: z
    .object(
      {
        read: z.custom((value) => typeof value === 'function', { error: 'a function that returns a number' }),
        everyMs: durationMsSchema,
        timeoutMs: durationMsSchema,
        maxAgeMs: durationMsSchema,
      },
      { error: 'a signal: { read, everyMs, timeoutMs, maxAgeMs }' },
    )
    .optional(),
});

/** The trigger itself, not a copy of its fields: it may be an instance of a class. */
const triggerSchema = z
  .custom<Trigger>((value) => isRecord(value) && 'evaluate' in value, {
    error: 'a trigger, for example successRateBelow(0.95)',
    abort: true,
  })
  .superRefine((trigger, context) => {
    const { error } = triggerFieldsSchema.safeParse(trigger);
    for (const { path, message } of error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
  });

const triggersSchema = z
  .array(triggerSchema, { error: TRIGGERS })
  .superRefine((triggers, context) => {
    triggers.forEach((trigger, index) => {
      if (triggers.findIndex(({ name }) => name === trigger.name) === index) return;
      context.addIssue({
        code: 'custom',
        path: [index, 'name'],
        message: 'a name of its own among the triggers (give one in its options)',
      });
    });
  })
  .readonly();

const DEADLINE = 'a positive number of milliseconds';

const stagesSchema = z.lazy(() =>
  z
    .array(
      z.strictObject({
        percentage: percentageSchema.refine((percentage) => percentage > 0, {
          error: 'a percentage above 0',
        }),
        minOutcomes: countSchema,
        minSuccessRate: rateSchema,
        minDurationMs: z.number().min(0, { error: 'a number of milliseconds, 0 or more' }).optional(),
        deadlineMs: z
          .number({ error: DEADLINE })
          .refine((deadlineMs) => deadlineMs > 0 && Number.isFinite(deadlineMs), { error: DEADLINE })
          .optional(),
        onDeadline: z.enum(['notify', 'hold'], { error: "'notify' or 'hold'" }).optional(),
      }),
      { error: 'a list of stages' },
    )
    .superRefine((stages, context) => {
      stages.forEach(({ percentage, minDurationMs = 0, deadlineMs, onDeadline }, index) => {
        const path = [index, 'deadlineMs'];
        if (deadlineMs !== undefined && deadlineMs > 0 && deadlineMs <= minDurationMs) {
          context.addIssue({ code: 'custom', path, message: `more than minDurationMs (${minDurationMs})` });
        }
        if (deadlineMs === undefined && onDeadline !== undefined) {
          context.addIssue({ code: 'custom', path, message: `${DEADLINE}, for onDeadline` });
        }
        const previous = stages[index - 1]?.percentage;
        if (previous === undefined || percentage > previous) return;
        const message = `a percentage above that of the stage before (${previous})`;
        context.addIssue({ code: 'custom', path: [index, 'percentage'], message });
      });
    })
    .readonly(),
);

/** The rules among the options of a guard. */
export const rulesFields = {
  rollback: triggersSchema.refine((triggers) => triggers.length > 0, {
    error: `at least one trigger: ${TRIGGERS}`,
  }),
  review: triggersSchema.optional(),
  reviewCloseAfterMs: durationMsSchema.optional(),
  stages: stagesSchema.optional(),
};

/** The rules of a rollout as a user gives them. */
export type GivenRules = z.infer<z.ZodObject<typeof rulesFields>>;

/** What all rules together must fulfil. */
export function refineRules({ rollback, review = [] }: GivenRules, context: z.core.$RefinementCtx): void {
  review.forEach(({ name }, index) => {
    if (rollback.every((trigger) => trigger.name !== name)) return;
    const message = 'a name that no rollback trigger has (give one in its options)';
    context.addIssue({ code: 'custom', path: ['review', index, 'name'], message });
  });
}

const rulesSchema = z.strictObject(rulesFields).superRefine(refineRules);

/** Fills in the defaults of rules that have been checked. */
export function resolveRules({ rollback, review, reviewCloseAfterMs, stages }: GivenRules): RolloutRules {
  return {
    rollback,
    review: review ?? [],
    reviewCloseAfterMs: reviewCloseAfterMs ?? 300_000,
    stages: stages ?? [],
  };
}

/** Checks rules that come alone and fills in the defaults. @throws ConfigError that lists every problem. */
export function parseRules(given: unknown, what: string): RolloutRules {
  return resolveRules(parseConfig(rulesSchema, given, what));
}

/** An empty store with the windows and the evidence that these rules need. */
export function storeFor(
  rules: {
    readonly flagKey: string;
    readonly rollback: readonly Trigger[];
    readonly review: readonly Trigger[];
    readonly outcomeTimeoutMs?: number | undefined;
    readonly operation?: { readonly timeoutMs?: number | undefined } | undefined;
  },
  startedAt: number,
): MemoryOutcomeStore {
  const triggers = [...rules.rollback, ...rules.review];
  return new MemoryOutcomeStore({
    flagKey: rules.flagKey,
    windowsMs: triggers.map(({ windowMs }) => windowMs),
    evidenceFor: triggers,
    outcomeTimeoutMs: rules.outcomeTimeoutMs,
    operationTimeoutMs: rules.operation?.timeoutMs,
    now: startedAt,
  });
}
