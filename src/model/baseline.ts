import { z } from 'zod';

const durationMs = z.number().min(0);

const latencySummarySchema = z.lazy(() =>
  z
    .object({
      /** How many durations it sums up. */
      count: z.int().min(0),
      /** The arithmetic mean, in milliseconds. */
      meanMs: durationMs,
      /** The median, in milliseconds. */
      p50Ms: durationMs,
      /** The 95th percentile, in milliseconds. */
      p95Ms: durationMs,
      /** The 99th percentile, in milliseconds. */
      p99Ms: durationMs,
    })
    .readonly(),
);

/** Quantiles of the successes' durations, in milliseconds. */
export interface LatencySummary extends z.infer<typeof latencySummarySchema> {}

const wholeCount = z.int().min(0);

const memoryReferenceSchema = z.lazy(() =>
  z
    .object({
      /** The median of the samples. */
      bytes: z.number().positive(),
      /** How many samples there were. */
      samples: wholeCount,
      /** When the first was taken, milliseconds since 1970. */
      since: z.number(),
      /** When the last was taken, milliseconds since 1970. */
      until: z.number(),
    })
    .readonly(),
);

/** The memory of a process that had never run the treatment. */
export interface MemoryReference extends z.infer<typeof memoryReferenceSchema> {}

const controlReferenceSchema = z.lazy(() =>
  z
    .object({
      /** `flag-off`: before or between rollouts, 0 % included. `rollout`: beside a treatment that has replaced it since. */
      during: z.enum(['flag-off', 'rollout']),
      /** When the first outcome came, milliseconds since 1970. */
      since: z.number(),
      /** When the last outcome came. */
      until: z.number(),
      /** Outcomes that succeeded. */
      successes: wholeCount,
      /** Outcomes that failed. */
      failures: wholeCount,
      /** Complaints of users who got the control. */
      complaints: wholeCount,
      /** The durations of successes; absent before the first. */
      latency: latencySummarySchema.optional(),
    })
    .readonly(),
);

/** How the control behaved in one epoch. */
export interface ControlReference extends z.infer<typeof controlReferenceSchema> {}

export const baselineSchema = z.lazy(() =>
  z
    .object({
      /** This process's memory while the flag was off, or at 0 %; undefined before a minute of work. */
      memory: memoryReferenceSchema.optional(),
      /** The latest epoch in which the control had at least 100 outcomes. */
      control: controlReferenceSchema.optional(),
    })
    .readonly(),
);

/** What was normal at an earlier time: for comparison where no control runs at the same time. */
export interface Baseline extends z.infer<typeof baselineSchema> {}
