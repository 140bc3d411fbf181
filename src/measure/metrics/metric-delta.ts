import { z } from 'zod';

/** Trials of one metric in one delta: more than what a process sends again after a loss of data. */
const MAX_TRIALS = 5_000;

const count = z.int().min(0);
const hash = z.int().min(0).max(0xffff_ffff);
const treated = z.union([z.literal(0), z.literal(1)]);
const chance = z.number().min(0).max(1);

const trialSchema = z.tuple([hash, z.number(), chance, treated, z.number()]).readonly();

/** The hash of a unit, when it was exposed, its chance, 1 for the treatment, and its value. */
export type TrialEntry = z.infer<typeof trialSchema>;

export const metricDeltaSchema = z
  .object({
    trigger: z.string(),
    /** In the order of exposures. */
    trials: z.array(trialSchema).max(MAX_TRIALS).readonly(),
    notes: z.object({ tracked: count, unattributed: count, invalid: count }).readonly(),
  })
  .readonly();

/** What one process saw of the metric of one trigger since its previous delta. */
export type MetricDelta = z.infer<typeof metricDeltaSchema>;

const openTrialSchema = z.lazy(() =>
  z
    .object({
      /** Null: no event has come. */
      trial: z.tuple([hash, z.number(), chance, treated, z.number().nullable()]).readonly(),
      /** The denominator of a ratio. */
      per: z.number().min(0),
      /** Hashes of the targeting keys by which the unit was evaluated, other than its own. */
      keys: z.array(hash).max(100).readonly(),
    })
    .readonly(),
);

/** A unit whose time for a metric runs. */
export type OpenTrial = z.infer<typeof openTrialSchema>;

export const metricDumpSchema = z.lazy(() =>
  z
    .object({
      trigger: z.string(),
      open: z.array(openTrialSchema).max(MAX_TRIALS).readonly(),
      /** From other processes, until everything before has arrived. */
      waiting: z.array(trialSchema).readonly(),
    })
    .readonly(),
);

/** What a restart needs of the metric of one trigger, beside its evidence. */
export type MetricDump = z.infer<typeof metricDumpSchema>;

/** Metrics whose times are those of a clock that is `offsetMs` ahead. Pure. */
export function shiftMetrics(metrics: readonly MetricDelta[], offsetMs: number): MetricDelta[] {
  return metrics.map(({ trials, ...metric }) => ({
    ...metric,
    trials: trials.map(([unit, at, ...rest]) => [unit, at + offsetMs, ...rest] as const),
  }));
}

/** The metrics of several deltas of one process, in order, as of one delta. Pure. */
export function joinMetrics(parts: readonly (readonly MetricDelta[])[]): MetricDelta[] {
  const all = parts.flat();
  return [...new Set(all.map(({ trigger }) => trigger))].map((trigger) => {
    const same = all.filter((each) => each.trigger === trigger);
    const sum = (field: keyof MetricDelta['notes']) =>
      same.reduce((total, { notes }) => total + notes[field], 0);
    return {
      trigger,
      trials: same.flatMap(({ trials }) => trials).slice(-MAX_TRIALS),
      notes: { tracked: sum('tracked'), unattributed: sum('unattributed'), invalid: sum('invalid') },
    };
  });
}
