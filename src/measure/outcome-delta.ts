import { z } from 'zod';
import { ARMS, attributesSchema } from '../model/shapes.js';
import { rolloutEvidenceSchema } from '../statistics/evidence-state.js';
import { COUNTS_LENGTH } from './arm-counts.js';
import { bucketCountsSchema } from './count-ring.js';
import { settledEntrySchema } from './evidence/settled-sample.js';
import { SETTLED_FIELDS } from './evidence/settled-window.js';
import { EXPOSURE_FIELDS } from './exposure-ring.js';
import { sparseHistogramSchema } from './latency-histogram.js';
import { joinMetrics, metricDeltaSchema, metricDumpSchema, shiftMetrics } from './metrics/metric-delta.js';
import { BUCKETS_PER_WINDOW } from './time-ring.js';

/** Raised whenever the meaning of a delta changes: processes of different versions run side by side during a deploy. */
export const DELTA_VERSION = 4;

/** Settled outcomes of one delta: more than what a process sends again after a loss of data (see {@link joinEvidence}). */
const MAX_SETTLED = 5_000;

/** A version of a service is cut there. */
export const MAX_VERSION_LENGTH = 64;

const count = z.int().min(0);
const time = z.number();
const unit = z.int().min(0).max(0xffff_ffff);

function countedFields() {
  const errorTypes = z.array(z.tuple([z.string(), count]));
  return {
    /** The treatment's counts, then the control's, in the order of `COUNT_FIELDS`. */
    counts: z.array(count).length(COUNTS_LENGTH),
    latency: z.object({ treatment: sparseHistogramSchema, control: sparseHistogramSchema }),
    /** Pairs, not a record: a name may be anything, `__proto__` included. */
    errorTypes: z.object({ treatment: errorTypes, control: errorTypes }),
    invalidDurations: count,
  };
}

function evidenceDeltaSchema() {
  const trials = z.object({ trials: count, failures: count }).readonly();
  return z
    .object({
      /** In the order of their exposures. */
      settled: z.array(settledEntrySchema).max(MAX_SETTLED).readonly(),
      /** Events for which there was no room. */
      dropped: count,
      /** Trials of the treatment for the limits: of units without a failure before, and of all outcomes. */
      limits: z.object({ units: trials, outcomes: trials }).readonly(),
      /** The hash of the unit, when it complained, its chance, and 1 for the treatment. */
      complaints: z
        .array(
          z.tuple([unit, time, z.number().min(0).max(1), z.union([z.literal(0), z.literal(1)])]).readonly(),
        )
        .readonly(),
      /** Of the triggers that compare a metric of the application's own and for which something came. */
      metrics: z.array(metricDeltaSchema).max(100).readonly(),
    })
    .readonly();
}

function recentSchema() {
  return z
    .object({
      outcomes: z.array(time).max(100).readonly(),
      units: z
        .array(z.tuple([unit, time]).readonly())
        .max(100)
        .readonly(),
    })
    .readonly();
}

function detailsSchema() {
  const detail = z
    .object({
      at: time,
      arm: z.enum(ARMS),
      errorType: z.string().optional(),
      attributes: attributesSchema.optional(),
    })
    .readonly();
  const details = z.array(detail).max(1_000).readonly();
  return z.object({ failures: details, others: details }).readonly();
}

const deltaSchema = z.lazy(() =>
  z
    .object({
      version: z.literal(DELTA_VERSION),
      flagKey: z.string(),
      epoch: z.int(),
      /** Counts by time bucket for each window, so that a receiver's windows expire them when the sender's do. */
      windows: z.array(
        z.object({
          windowMs: z.number().positive(),
          buckets: z.array(bucketCountsSchema(COUNTS_LENGTH)),
          /** Settled outcomes by the time of their exposure. */
          settled: z.array(bucketCountsSchema(SETTLED_FIELDS)),
        }),
      ),
      /** Exposures and how many of them have an outcome, by the time at which they were opened. */
      exposures: z.object({
        bucketMs: z.number().positive(),
        buckets: z.array(bucketCountsSchema(EXPOSURE_FIELDS)),
      }),
      /** For the epoch's totals. */
      ...countedFields(),
      /** Late outcomes of earlier epochs, which are in no totals. */
      late: z.object(countedFields()).readonly().optional(),
      /** What it counts was sent before, for data that the server has lost: it is in rollups already. */
      isRepeated: z.boolean().optional(),
      /** Of the service whose process recorded it. */
      serviceVersion: z.string().max(MAX_VERSION_LENGTH).optional(),
      lastOutcomeAt: z.object({ treatment: time.optional(), control: time.optional() }),
      lastCritical: z.object({ errorType: z.string(), at: time }).optional(),
      /** The treatment's latest outcomes (negative times are failures) and units. */
      recent: recentSchema(),
      details: detailsSchema(),
      /** For the sequential tests; undefined in a dump, which has their states. */
      evidence: evidenceDeltaSchema().optional(),
    })
    .readonly(),
);

/**
 * What happened in one process since its previous delta. Plain JSON. Deltas of several processes (and of several
 * times) add up: merging all of them into an empty store gives the snapshot of one store that saw everything.
 *
 * It has no memory samples: memory belongs to one process, each evaluates its own, and whichever finds a leak stops the flag
 * for all. It has no targeting keys and no messages; of failing outcomes and a few others it has the attributes.
 */
export type OutcomeDelta = z.infer<typeof deltaSchema>;

/** What the sequential tests of one process saw since its previous delta. Units are hashes. */
export type EvidenceDelta = NonNullable<OutcomeDelta['evidence']>;

/** Counts, latencies of successes, and error types. */
export type CountedDelta = NonNullable<OutcomeDelta['late']>;

/** Whether nothing was recorded. */
export function isEmptyDelta({
  late,
  lastCritical,
  exposures,
  evidence,
  windows,
  counts,
}: OutcomeDelta): boolean {
  return (
    late === undefined &&
    lastCritical === undefined &&
    exposures.buckets.length === 0 &&
    (evidence === undefined || isEmptyEvidence(evidence)) &&
    windows.every(({ buckets, settled }) => buckets.length === 0 && settled.length === 0) &&
    counts.every((count) => count === 0)
  );
}

function isEmptyEvidence({ settled, complaints, metrics }: EvidenceDelta): boolean {
  return settled.length === 0 && complaints.length === 0 && metrics.length === 0;
}

/** What a {@link StoreDump} must be. Invalid evidence is left out: its tests then start from zero, and the counts are kept. */
export const storeDumpSchema = z.lazy(() =>
  z
    .object({
      epochStartedAt: time,
      /** Outcomes of earlier epochs are dropped; undefined when those of all epochs count. */
      oldestEpoch: z.int().optional(),
      /** Everything that was counted, in deltas already or not. */
      contents: deltaSchema,
      /** The states of the sequential tests. */
      evidence: rolloutEvidenceSchema.optional().catch(undefined),
      /** What other processes sent and waits until everything before it has settled in all of them. @default none */
      waiting: z.array(settledEntrySchema).readonly().optional().catch(undefined),
      /** Of the application's own metrics, what is open or waits. @default none */
      metrics: z.array(metricDumpSchema).max(100).readonly().optional().catch(undefined),
    })
    .readonly(),
);

/** The whole state of one process's store at one moment, for its next run. Plain JSON. */
export type StoreDump = z.infer<typeof storeDumpSchema>;

/** Compiled with its first use: a leader checks thousands of deltas in a second. What is `z.lazy` within it would stay slow. */
let compiledDeltaSchema: ReturnType<typeof deltaSchema.unwrap> | undefined;

/** Checks a delta from outside this process; undefined when it is invalid, or of another version. */
export function parseOutcomeDelta(value: unknown): OutcomeDelta | undefined {
  compiledDeltaSchema ??= z.compile(deltaSchema.unwrap());
  return compiledDeltaSchema.safeParse(value).data;
}

/**
 * A delta as a process would have made it whose clock is `offsetMs` ahead: clocks of processes may differ by minutes, and a
 * receiver's windows have one time. Buckets move as a whole, so an offset below half a bucket changes nothing. Pure.
 */
export function shiftDelta(delta: OutcomeDelta, offsetMs: number): OutcomeDelta {
  if (offsetMs === 0) return delta;
  const { windows, exposures, lastOutcomeAt, lastCritical, recent, details, evidence } = delta;
  const later = (at: number | undefined) => (at === undefined ? undefined : at + offsetMs);
  return {
    ...delta,
    windows: windows.map(({ windowMs, buckets, settled }) => {
      const by = Math.round(offsetMs / (windowMs / BUCKETS_PER_WINDOW));
      return { windowMs, buckets: moved(buckets, by), settled: moved(settled, by) };
    }),
    exposures: { ...exposures, buckets: moved(exposures.buckets, Math.round(offsetMs / exposures.bucketMs)) },
    lastOutcomeAt: { treatment: later(lastOutcomeAt.treatment), control: later(lastOutcomeAt.control) },
    lastCritical: lastCritical && { ...lastCritical, at: lastCritical.at + offsetMs },
    recent: {
      outcomes: recent.outcomes.map((at) => (at < 0 ? at - offsetMs : at + offsetMs)),
      units: recent.units.map(([hash, at]) => [hash, at + offsetMs] as const),
    },
    details: {
      failures: details.failures.map((each) => ({ ...each, at: each.at + offsetMs })),
      others: details.others.map((each) => ({ ...each, at: each.at + offsetMs })),
    },
    evidence: evidence && {
      ...evidence,
      settled: evidence.settled.map(([hash, at, ...rest]) => [hash, at + offsetMs, ...rest] as const),
      complaints: evidence.complaints.map(([hash, at, ...rest]) => [hash, at + offsetMs, ...rest] as const),
      metrics: shiftMetrics(evidence.metrics, offsetMs),
    },
  };
}

/** The evidence of several deltas of one process, in order, as of one delta. Pure. */
export function joinEvidence(parts: readonly EvidenceDelta[]): EvidenceDelta {
  const sum = (of: 'units' | 'outcomes') => ({
    trials: parts.reduce((trials, { limits }) => trials + limits[of].trials, 0),
    failures: parts.reduce((failures, { limits }) => failures + limits[of].failures, 0),
  });
  const settled = parts.flatMap((part) => part.settled);
  const latest = settled.slice(-MAX_SETTLED);
  return {
    settled: latest,
    dropped: parts.reduce((all, { dropped }) => all + dropped, settled.length - latest.length),
    limits: { units: sum('units'), outcomes: sum('outcomes') },
    complaints: parts.flatMap(({ complaints }) => complaints),
    metrics: joinMetrics(parts.map(({ metrics }) => metrics)),
  };
}

function moved<Bucket extends { readonly bucket: number }>(buckets: readonly Bucket[], by: number): Bucket[] {
  return buckets.map((bucket) => ({ ...bucket, bucket: bucket.bucket + by }));
}
