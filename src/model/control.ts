import { z } from 'zod';

const by = z.string().min(1).max(200);
const reason = z.string().min(1).max(1_000);
const trigger = z.string().min(1);
const at = z.number();

const control = <Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.strictObject({ type: z.literal(type), by, ...shape }).readonly();

/** What operators may ask of a guard; `by` is who asks. */
export const controlSchema = z.discriminatedUnion('type', [
  /** Turns the flag off now, as a rollback would. */
  control('stop', { reason }),
  /** No automatic advance until `resume`. Triggers stay in force. */
  control('hold', { reason }),
  control('resume', {}),
  /** Moves the percentage to the next stage; refused when the stage is not met, unless forced. */
  control('advance', { force: z.boolean().optional(), reason: reason.optional() }),
  /** Closes the review that this trigger opened. */
  control('acknowledge', { trigger, reason: reason.optional() }),
  /** The trigger neither stops nor opens a review for so long, in milliseconds. */
  control('mute', { trigger, forMs: z.number().positive(), reason }),
  control('unmute', { trigger }),
]);

/** One request of an operator. */
export type Control = z.infer<typeof controlSchema>;

/** Which requests there are. */
export type ControlType = Control['type'];

export const controlsInForceSchema = z
  .object({
    /** While automatic advance waits for an operator. */
    hold: z.object({ since: at, by: z.string(), reason: z.string() }).readonly().optional(),
    mutes: z
      .array(
        z
          .object({ trigger: z.string(), since: at, until: at, by: z.string(), reason: z.string() })
          .readonly(),
      )
      .readonly(),
  })
  .readonly();

/** What operators have asked for and still applies. */
export interface ControlsInForce extends z.infer<typeof controlsInForceSchema> {}
