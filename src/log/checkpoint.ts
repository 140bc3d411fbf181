import { join } from 'node:path';
import { z } from 'zod';
import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { type StoreDump, storeDumpSchema } from '../measure/outcome-delta.js';
import type { Outcome } from '../model/shapes.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';
import { ExposureOrder, type LoggedStep } from './exposure-order.js';
import { outcomeOfRow } from './log-row-schema.js';
import { readOutcomeLog } from './read-log.js';

const checkpointSchema = z.lazy(() =>
  z.object({
    flagKey: z.string(),
    position: z.object({ sequence: z.int().min(1), offset: z.int().min(0) }),
    store: storeDumpSchema,
    droppedLines: z.int().min(0),
  }),
);

/** What was counted up to one byte of the log: a restart adds the lines after it, and counts none twice. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** The checkpoint of a folder. Only what is in the log by then may be counted in it. */
export function checkpointFile(folder: string, options?: WriteOptions): VersionedFile<Checkpoint> {
  return new VersionedFile(join(folder, 'checkpoint.json'), 3, checkpointSchema, options);
}

/** The lines after a checkpoint are few: a checkpoint is written every few seconds. */
const HORIZON_MS = 60_000;

/** The current epoch as the guard's journal has it. */
export interface RestoreOptions {
  readonly flagKey: string;
  /** The store's hash of a unit that the log has; undefined for one that was not written with this folder's salt. */
  readonly unitOf: (text: string) => number | undefined;
  /** The guard's epoch, from its journal; 1 on a first start. */
  readonly epoch: number;
  /** When that epoch began, if the journal has it. @default as in the checkpoint, if that is of the same epoch */
  readonly epochStartedAt?: number | undefined;
  /**
   * Outcomes of this epoch and later ones count in the windows, if the journal has it.
   * @default as in the checkpoint, if that is of `epoch`, and `epoch` otherwise: too few outcomes are better than
   * a stop for what happened before an operator turned the flag on again
   */
  readonly oldestEpoch?: number | undefined;
  /**
   * A store like the guard's own, to count in. A window of a new length begins empty, and so does a test that has changed.
   */
  readonly emptyStore: (epochStartedAt: number) => MemoryOutcomeStore;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What earlier runs counted: the checkpoint, and the lines of the log after it. Nothing is written. The log's last line
 * must be whole, as it is after the log was opened, and must not grow meanwhile.
 *
 * @returns a store for {@link MemoryOutcomeStore.restore}, in the guard's epoch; undefined when there is no checkpoint:
 * without one, nothing was ever logged.
 * @throws when the checkpoint cannot be read, or belongs to another flag.
 */
export async function restoreOutcomes(folder: string, options: RestoreOptions) {
  const checkpoint = await checkpointFile(folder).load();
  if (checkpoint === undefined) return undefined;
  if (checkpoint.flagKey !== options.flagKey) {
    throw new Error(`${folder} contains the outcomes of the flag ${checkpoint.flagKey}.`);
  }
  const store = storeAsOf(checkpoint.store, options);
  // The journal is behind: what its epoch and the log's latest one have in common is unknown.
  const order = new ExposureOrder(HORIZON_MS);
  const isAhead = checkpoint.store.contents.epoch > options.epoch;
  const { flagKey, position } = checkpoint;
  for await (const row of readOutcomeLog(folder, { from: { ...position, flagKey } })) {
    if (isAhead) continue;
    const outcome = outcomeOfRow(row);
    const unitHash = row.unit === null ? undefined : options.unitOf(row.unit);
    const exposure = { ...outcome.exposure, unitHash };
    for (const step of order.add({ ...outcome, exposure }, row.weight)) addTo(store, step);
  }
  for (const step of order.rest()) addTo(store, step);
  return { store: store.dump(options.now), droppedLines: checkpoint.droppedLines };
}

function addTo(store: MemoryOutcomeStore, { type, outcome }: LoggedStep<Outcome>): void {
  if (type === 'exposure') store.expose(outcome.exposure);
  else store.record(outcome);
}

/** A store with the part of a dump that still counts. */
function storeAsOf(dump: StoreDump, options: RestoreOptions): MemoryOutcomeStore {
  const { emptyStore, epoch, now } = options;
  const sameEpoch = dump.contents.epoch === epoch;
  const oldestEpoch = options.oldestEpoch ?? (sameEpoch ? dump.oldestEpoch : epoch);
  const startedAt = options.epochStartedAt ?? (sameEpoch ? dump.epochStartedAt : now);
  const store = emptyStore(startedAt);
  if (oldestEpoch !== undefined) store.beginEpoch(oldestEpoch, startedAt, { keepWindows: false });
  store.beginEpoch(epoch, startedAt, { keepWindows: true });
  if (sameEpoch) store.restore({ ...dump, epochStartedAt: startedAt }, now);
  // What is left of an epoch when the next one has begun: its windows, if they still count.
  else store.merge(dump.contents, now);
  return store;
}
