import { z } from 'zod';

export const healthReasonSchema = z.lazy(() =>
  z
    .object({
      /** Stable and kebab-case, for example `stale-flags`; docs/reliability.md has all of them. */
      code: z.string(),
      /** What does not work, and what to do about it. */
      message: z.string(),
      /** Milliseconds since 1970. */
      since: z.number(),
    })
    .readonly(),
);

/** One reason why a guard is blind. */
export interface HealthReason extends z.infer<typeof healthReasonSchema> {}

export const healthSchema = z.lazy(() =>
  z
    .object({
      /** `blind`: the guard cannot see what it must see, or cannot act. */
      status: z.enum(['ok', 'blind']),
      /** Since when, milliseconds since 1970. */
      since: z.number(),
      /** Why the guard is blind, oldest first; empty when it is not. */
      reasons: z.array(healthReasonSchema).readonly(),
    })
    .readonly(),
);

/** Whether a guard can do its work. `blind`: something keeps it from seeing, or from stopping, what it guards. */
export interface Health extends z.infer<typeof healthSchema> {}
