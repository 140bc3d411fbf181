import { z } from 'zod';

/** A name in the application's words; the dictionary of a fleet and the journal carry it. */
const event = z.string().min(1).max(256);
const withinMs = z.number().positive();

const definitionSchema = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('conversion'), event, withinMs }).readonly(),
    z.object({ kind: z.literal('numeric'), event, withinMs, min: z.number() }).readonly(),
    z.object({ kind: z.literal('ratio'), event, per: event, withinMs }).readonly(),
  ]),
);

/** What is measured of each unit, from its exposure on, for `withinMs`. */
export type MetricDefinition = z.infer<typeof definitionSchema>;

export const metricRequestSchema = z.lazy(() =>
  z
    .object({
      test: z.literal('metric'),
      alpha: z.number().positive().lt(0.5),
      metric: definitionSchema,
      direction: z.enum(['higher-is-better', 'lower-is-better']),
      /** Of the rates for a conversion; otherwise of the values, in their own unit. */
      minDifference: z.number().min(0),
    })
    .readonly(),
);

/** A metric of the application's own, of the treatment against the control's. */
export type MetricRequest = z.infer<typeof metricRequestSchema>;
