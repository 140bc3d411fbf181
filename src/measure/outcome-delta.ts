import { z } from 'zod';
import type { Arm } from '../model/shapes.js';
import type { EvidenceDelta, SequentialEvidenceState } from '../statistics/sequential-evidence.js';
import { COUNTS_LENGTH } from './arm-counts.js';
import { blockCountsSchema, countSchema as count, trialsSchema, uint32Schema } from './count-schemas.js';
import { evidenceStateSchema } from './evidence-state.js';
import { EXPOSURE_FIELDS, type ExposureBuckets } from './exposure-ring.js';
import { LATENCY_SLOTS, type SparseHistogram } from './latency-histogram.js';
import type { BucketCounts } from './sliding-window.js';

/** Raised whenever the meaning of a delta changes: processes of different versions run side by side during a deploy. */
export const DELTA_VERSION = 1;

/**
 * What happened in one process since its previous delta. Plain JSON. Deltas of several processes (and of several
 * times) add up: merging all of them into an empty store gives the snapshot of one store that saw everything.
 *
 * It says nothing of memory, which is one process's own: each judges its own, and whichever finds a leak stops the flag
 * for all. It holds no targeting keys, no attributes and no messages.
 */
export interface OutcomeDelta {
  readonly version: typeof DELTA_VERSION;
  readonly flagKey: string;
  readonly epoch: number;
  /** Counts by time bucket for each window, so that a receiver's windows expire them when the sender's do. */
  readonly windows: readonly { readonly windowMs: number; readonly buckets: readonly BucketCounts[] }[];
  /** Exposures and how many of them have an outcome, by the time at which they were opened. */
  readonly exposures: ExposureBuckets;
  /** Counts for the epoch's totals: the treatment's, then the control's, in the order of `COUNT_FIELDS`. */
  readonly counts: readonly number[];
  readonly latency: Readonly<Record<Arm, SparseHistogram>>;
  /** Pairs, not a record: a name may be anything, `__proto__` included. */
  readonly errorTypes: Readonly<Record<Arm, readonly (readonly [errorType: string, count: number])[]>>;
  readonly lastOutcomeAt: Readonly<Partial<Record<Arm, number | undefined>>>;
  readonly lastCritical?: { readonly errorType: string; readonly at: number } | undefined;
  readonly invalidDurations: number;
  /** What the anytime-valid tests counted; undefined when no trigger of the sender asks for evidence. */
  readonly evidence?: EvidenceDelta | undefined;
}

const counts = z.array(count).length(COUNTS_LENGTH);
const histogram = z.object({
  sumMs: z.number().min(0),
  buckets: z.array(z.tuple([z.int().min(0).lt(LATENCY_SLOTS), count])).max(LATENCY_SLOTS),
});
const errorTypes = z.array(z.tuple([z.string(), count]));
const time = z.number();

const evidence = z.object({
  split: blockCountsSchema,
  everyone: trialsSchema,
  latency: z.array(z.tuple([z.string(), z.array(blockCountsSchema)])),
  excluded: count,
  repeated: count,
  invalid: count,
  keys: z.array(z.tuple([uint32Schema, uint32Schema])),
});

const deltaSchema = z.object({
  version: z.literal(DELTA_VERSION),
  flagKey: z.string(),
  epoch: z.int(),
  windows: z.array(
    z.object({ windowMs: z.number().positive(), buckets: z.array(z.object({ bucket: z.int(), counts })) }),
  ),
  exposures: z.object({
    bucketMs: z.number().positive(),
    buckets: z.array(z.object({ bucket: z.int(), counts: z.array(count).length(EXPOSURE_FIELDS) })),
  }),
  counts,
  latency: z.object({ treatment: histogram, control: histogram }),
  errorTypes: z.object({ treatment: errorTypes, control: errorTypes }),
  lastOutcomeAt: z.object({ treatment: time.optional(), control: time.optional() }),
  lastCritical: z.object({ errorType: z.string(), at: time }).optional(),
  invalidDurations: count,
  evidence: evidence.optional(),
});

/** All that one process's store held at one moment, for its next run. Plain JSON. */
export interface StoreDump {
  readonly epochStartedAt: number;
  /** Outcomes of earlier epochs are dropped; undefined when those of all epochs count. */
  readonly oldestEpoch?: number | undefined;
  /** Everything, since nothing of it has been given away. */
  readonly contents: OutcomeDelta;
  /** Where the anytime-valid tests are; undefined when no trigger asks for evidence. */
  readonly evidence?: SequentialEvidenceState | undefined;
}

/**
 * What {@link StoreDump} is when it comes from outside this process. Evidence that cannot be is left out: its tests then
 * begin anew, and the counts are kept.
 */
export const storeDumpSchema = z.object({
  epochStartedAt: time,
  oldestEpoch: z.int().optional(),
  contents: deltaSchema,
  evidence: evidenceStateSchema.optional().catch(undefined),
});

/** Checks a dump that came from outside this process; undefined when it is none, or of another version. */
export function parseStoreDump(value: unknown): StoreDump | undefined {
  const parsed = storeDumpSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** Checks a delta that came from outside this process; undefined when it is none, or of another version. */
export function parseOutcomeDelta(value: unknown): OutcomeDelta | undefined {
  const parsed = deltaSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
