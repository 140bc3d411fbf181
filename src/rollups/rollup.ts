import { z } from 'zod';
import { sparseHistogramSchema } from '../measure/latency-histogram.js';
import { armCountsSchema, perArm, UNITS } from '../model/shapes.js';

const MINUTE_MS = 60_000;

/** How long rollups are, in milliseconds, ascending: older ones are merged into longer ones. */
export const ROLLUP_LENGTHS_MS = [MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS] as const;

const count = z.int().min(0);

const rollupArmSchema = z.lazy(() =>
  z
    .object({
      ...armCountsSchema.unwrap().shape,
      /** Users who were served: successes, and failures whose fallback succeeded. */
      userSuccesses: count,
      /** Exposures that became due within the rollup and had no outcome. */
      unfinished: count,
      /** Failures by error type, most frequent first, bounded; the rest is under `other`. Pairs: a name may be anything. */
      errorTypes: z.array(z.tuple([z.string(), count]).readonly()).readonly(),
      /** Durations of successes, in milliseconds. */
      latency: sparseHistogramSchema,
    })
    .readonly(),
);

/** What one arm did within a rollup. */
export interface RollupArm extends z.infer<typeof rollupArmSchema> {}

export const triggerRollupSchema = z.lazy(() =>
  z
    .object({
      /** The trigger's name. */
      trigger: z.string(),
      /** The worst within the rollup: `breach`, then `ok`, then `insufficient-data`. */
      status: z.enum(['ok', 'insufficient-data', 'breach']),
      /** The last one observed; absent without data. */
      observed: z.number().optional(),
      /** The last threshold. */
      threshold: z.number(),
      /** Of `observed` and `threshold`. */
      unit: z.enum(UNITS),
      /** The natural logarithm of the evidence over that of its threshold, at least 0; 1 is a breach. Absent for point rules. */
      evidence: z.number().optional(),
    })
    .readonly(),
);

/** What one trigger observed within a rollup. */
export interface TriggerRollup extends z.infer<typeof triggerRollupSchema> {}

const metricArmSchema = z.lazy(() =>
  z
    .object({
      /** Units whose time for the metric ended within the rollup. */
      trials: count,
      /** Of their values; of a conversion, how many did it. */
      sum: z.number(),
    })
    .readonly(),
);

const metricRollupSchema = z.lazy(() =>
  z
    .object({
      /** The trigger that compares it. */
      trigger: z.string(),
      /** What the values are. */
      kind: z.enum(['conversion', 'numeric', 'ratio']),
      /** Of the treatment's units. */
      treatment: metricArmSchema,
      /** Of the control's units. */
      control: metricArmSchema,
    })
    .readonly(),
);

/** A metric of the application's own within a rollup. */
export interface MetricRollup extends z.infer<typeof metricRollupSchema> {}

export const rollupSchema = z.lazy(() =>
  z
    .object({
      /** When it begins, milliseconds since 1970: a multiple of its length. */
      at: z.number(),
      /** A minute, ten minutes or an hour, in milliseconds. */
      durationMs: z.number(),
      /** The latest within it. */
      epoch: z.int(),
      /** The latest percentage within it, 0–100, 0 while the flag is off; absent when there was no single one. */
      percentage: z.number().optional(),
      /** What happened in each arm. */
      arms: perArm(rollupArmSchema),
      /** What each trigger said, by name. */
      triggers: z.array(triggerRollupSchema).readonly(),
      /** What each metric of the application's own adds up to, by trigger; absent without any. */
      metrics: z.array(metricRollupSchema).readonly().optional(),
      /** Versions of the service that recorded within it. */
      serviceVersions: z.array(z.string()).readonly(),
    })
    .readonly(),
);

/** Everything that happened in one minute, ten minutes or an hour, in one process or in a whole fleet. */
export interface Rollup extends z.infer<typeof rollupSchema> {}

export const annotationSchema = z.lazy(() =>
  z
    .object({
      /** When it happened, milliseconds since 1970. */
      at: z.number(),
      /** `deploy`: another version of the service. `control`: what an operator asked of the guard. */
      type: z.enum(['percentage', 'stage', 'review', 'decision', 'deploy', 'control', 'health']),
      /** A few words, for example `10 %`, `stopped`, `review: latency-above`. */
      title: z.string(),
      /** One sentence. */
      text: z.string(),
      /** Who acted, if an operator did. */
      by: z.string().optional(),
      /** The decision that it belongs to, if there is one. */
      decisionId: z.string().optional(),
      /** 0–100, of a change of the percentage. */
      percentage: z.number().optional(),
    })
    .readonly(),
);

/** Something that happened at one moment, to be marked on a chart. */
export interface Annotation extends z.infer<typeof annotationSchema> {}

/** A rollout from its first rollup on. Ascending. */
export interface RolloutHistory {
  /** What happened, ascending, without overlap. */
  readonly rollups: readonly Rollup[];
  /** What else happened, ascending. */
  readonly annotations: readonly Annotation[];
}

/** Which rollups are wanted. */
export interface TimeRange {
  /** Those that end after it, milliseconds since 1970. @default from the first */
  readonly from?: number | undefined;
  /** Those that begin before it. @default to the last */
  readonly to?: number | undefined;
}

/** Which part of a history is wanted, and in how fine rollups. */
export interface WantedHistory extends TimeRange {
  /** How long rollups may be, in milliseconds, by the length of the part. @default as short as they are kept */
  readonly stepFor?: ((spanMs: number) => number) | undefined;
}
