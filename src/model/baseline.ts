import { z } from 'zod';

const durationMs = z.number().min(0);

const latencySummarySchema = z.lazy(() =>
  z
    .object({
      count: z.int().min(0),
      meanMs: durationMs,
      p50Ms: durationMs,
      p95Ms: durationMs,
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
      samples: wholeCount,
      since: z.number(),
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
      since: z.number(),
      /** When the last outcome came. */
      until: z.number(),
      successes: wholeCount,
      failures: wholeCount,
      complaints: wholeCount,
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
