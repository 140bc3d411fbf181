import { z } from 'zod';

// Control characters could rewrite a terminal, and marks of direction what a line seems to say.
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

function text(what: string, most: number) {
  const error = `${what}: text on one line, at most ${most} characters`;
  return z
    .string({ error })
    .max(most, { error })
    .refine((value) => value.trim() !== '' && !UNSAFE.test(value), { error });
}

/** A mute is to end: the longest lasts a year. */
const LONGEST_MUTE_MS = 366 * 86_400_000;
const MUTE = 'a positive number of milliseconds, at most a year';

const by = text('who asks', 200);
const reason = text('why', 1_000);
const trigger = text("a trigger's name", 200);
const at = z.number();
const muteMs = z
  .number({ error: MUTE })
  .refine((value) => value > 0 && value <= LONGEST_MUTE_MS, { error: MUTE });

const control = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.strictObject({ type: z.literal(type), by, ...shape }).readonly();

/** What operators may ask of a guard; `by` is who asks. */
export const controlSchema = z.lazy(() =>
  z.discriminatedUnion(
    'type',
    [
      /** Turns the flag off now, as a rollback would. */
      control('stop', { reason }),
      /** No automatic advance until `resume`. Triggers stay in force. */
      control('hold', { reason }),
      control('resume', { reason: reason.optional() }),
      /** Moves the percentage to the next stage; refused when the stage is not met, unless forced. */
      control('advance', { force: z.boolean().optional(), reason: reason.optional() }),
      /** Closes the review that this trigger opened. */
      control('acknowledge', { trigger, reason: reason.optional() }),
      /** The trigger neither stops nor opens a review for so long, in milliseconds. */
      control('mute', { trigger, forMs: muteMs, reason }),
      control('unmute', { trigger, reason: reason.optional() }),
    ],
    { error: 'one of stop, hold, resume, advance, acknowledge, mute, unmute' },
  ),
);

/** An alert of a monitoring system began to fire, or is resolved. */
export const alertSchema = z.lazy(() =>
  z
    .strictObject({
      /** What it is: an alert, among what a guard is asked. */
      type: z.literal('alert'),
      /** Where it came from, for example `Alertmanager`. */
      by,
      /** `alert:` and its name: of its review. Alerts of one name are one review. */
      trigger,
      /** The same for all notifications of one alert. */
      fingerprint: text('a fingerprint', 200),
      /** Whether it fires; false when it is resolved. */
      isFiring: z.boolean(),
      /** When it began to fire, if the sender says so. */
      since: at.optional(),
      /** What it does: open a review, or stop the flag. */
      action: z.enum(['review', 'stop']),
      /** The rule that decided on it only says what it would have done. */
      dryRun: z.literal(true).optional(),
      /** What it says, on one line. */
      reason,
    })
    .readonly(),
);

/** A notification of one alert, for one flag. */
export interface Alert extends z.infer<typeof alertSchema> {}

/** One request of an operator. @useDeclaredType */
export type Control = z.infer<typeof controlSchema>;

/** Which requests there are. */
export type ControlType = Control['type'];

const inForceFields = {
  /** While automatic advance waits for an operator. */
  hold: z.object({ since: at, by: z.string(), reason: z.string() }).readonly().optional(),
  /** The triggers that are muted, and until when. */
  mutes: z
    .array(
      z.object({ trigger: z.string(), since: at, until: at, by: z.string(), reason: z.string() }).readonly(),
    )
    .readonly(),
};

export const controlsInForceSchema = z.object(inForceFields).readonly();

/** What operators have asked for and still applies. */
export interface ControlsInForce extends z.infer<typeof controlsInForceSchema> {}

export const controlReplySchema = z.lazy(() =>
  z
    .object({
      /** Whether it was done. */
      accepted: z.boolean(),
      /** Why not; stable. Absent when it was done. */
      code: z.string().optional(),
      /** One sentence: what was done, or why not. */
      message: z.string(),
    })
    .readonly(),
);

/** What became of a request. */
export interface ControlReply extends z.infer<typeof controlReplySchema> {}

const stepSchema = z.lazy(() => z.object({ from: z.number(), to: z.number() }).readonly());

/** From which percentage to which. */
export interface PercentageStep extends z.infer<typeof stepSchema> {}

export const controlRequestSchema = z.lazy(() =>
  z
    .object({
      id: z.uuid(),
      control: z.union([controlSchema, alertSchema]),
      /** When it was sent, and from when on it is too late to begin with it. */
      at,
      expiresAt: at,
      /** What `advance` does, fixed before it is begun: whoever continues after a crash does the same, and not the next step. */
      step: stepSchema.optional(),
    })
    .readonly(),
);

/** A request on its way: in a guard's folder, or in the store that a fleet shares. */
export interface ControlRequest extends z.infer<typeof controlRequestSchema> {}

export const controlStateSchema = z.lazy(() =>
  z
    .object({
      ...inForceFields,
      /** The latest stops: a flag that is stopped again and again is held. */
      stops: z.array(z.object({ id: z.string(), at }).readonly()).readonly(),
      /** Alerts that fire, and some that are resolved: a late repetition does nothing. */
      alerts: z
        .array(
          z
            .object({
              ...alertSchema.unwrap().unwrap().omit({ type: true, by: true }).shape,
              from: z.string(),
              at,
            })
            .readonly(),
        )
        .readonly(),
      /** The latest requests that were answered, so that none is done twice. */
      answered: z.array(z.object({ id: z.string(), reply: controlReplySchema }).readonly()).readonly(),
    })
    .readonly(),
);

/** {@link ControlsInForce}, and what a guard must remember beside: in its journal, and shared by a fleet. */
export interface ControlState extends z.infer<typeof controlStateSchema> {}
