import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { COUNTS_LENGTH } from '../measure/arm-counts.js';
import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { type OutcomeDelta, type StoreDump, storeDumpSchema } from '../measure/outcome-delta.js';
import { linesOf, readIfPresent, replaceFile } from '../support/files.js';
import { JSONL_FILE, rotatedFiles } from './log-files.js';
import { type OutcomeRow, outcomeOfRow, parseOutcomeLine } from './log-row-schema.js';
import { type SummaryState, SummaryTotals, summaryStateSchema } from './log-summary.js';
import type { LogPosition } from './rotating-file.js';

const CHECKPOINT_FILE = 'checkpoint.json';

const VERSION = 1;

const checkpointSchema = z.object({
  flagKey: z.string(),
  position: z.object({ sequence: z.int().min(1), offset: z.int().min(0) }),
  store: storeDumpSchema,
  summary: summaryStateSchema,
  droppedLines: z.int().min(0),
});

/** What was counted up to one byte of the log: a restart adds the lines after it, and counts none twice. */
export type Checkpoint = Omit<z.infer<typeof checkpointSchema>, 'store'> & { readonly store: StoreDump };

const fileSchema = z.object({ version: z.literal(VERSION), ...checkpointSchema.shape });

/** Replaces the checkpoint. Only what is in the log by then may be counted in it. */
export function saveCheckpoint(folder: string, checkpoint: Checkpoint): Promise<void> {
  return replaceFile(
    join(folder, CHECKPOINT_FILE),
    `${JSON.stringify({ version: VERSION, ...checkpoint })}\n`,
  );
}

/** What the guard's journal says of the current epoch. */
export interface RestoreOptions {
  readonly flagKey: string;
  /** The guard's epoch, from its journal; 1 on a first start. */
  readonly epoch: number;
  /** When that epoch began, if the journal says so. @default what the checkpoint says, if it is of that epoch */
  readonly epochStartedAt?: number | undefined;
  /**
   * Outcomes of this epoch and later ones count in the windows, if the journal says so.
   * @default what the checkpoint says if it is of `epoch`, and `epoch` otherwise: too few outcomes are better than
   * a stop for what happened before an operator turned the flag on again
   */
  readonly oldestEpoch?: number | undefined;
  /**
   * A store like the guard's own, to count in. A window of a new length begins empty; so does
   * evidence, whose tests start over with each process.
   */
  readonly emptyStore: (epochStartedAt: number) => MemoryOutcomeStore;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What earlier runs counted. */
export interface RestoredOutcomes {
  /** For {@link MemoryOutcomeStore.restore}, in the guard's epoch. */
  readonly store: StoreDump;
  readonly summary: SummaryState;
  readonly droppedLines: number;
}

/**
 * What earlier runs counted: the checkpoint, and the lines of the log after it. Nothing is written. The log's last line
 * must be whole, as it is after the log was opened, and must not grow meanwhile.
 *
 * @returns undefined when there is no checkpoint: without one, nothing was ever logged.
 * @throws when the checkpoint cannot be read, or belongs to another flag.
 */
export async function restoreOutcomes(
  folder: string,
  options: RestoreOptions,
): Promise<RestoredOutcomes | undefined> {
  const checkpoint = await loadCheckpoint(folder);
  if (checkpoint === undefined) return undefined;
  if (checkpoint.flagKey !== options.flagKey) {
    throw new Error(`${folder} holds the outcomes of the flag ${checkpoint.flagKey}.`);
  }
  const store = storeAsOf(checkpoint.store, options);
  const summary = new SummaryTotals();
  summary.restore(checkpoint.summary);
  // The journal is behind: what its epoch and the log's latest one have in common is unknown.
  const isAhead = checkpoint.store.contents.epoch > options.epoch;
  for await (const row of rowsAfter(folder, checkpoint.position)) {
    summary.add(row);
    if (!isAhead) store.record(outcomeOfRow(row));
  }
  return {
    store: store.dump(options.now),
    summary: summary.state(),
    droppedLines: checkpoint.droppedLines,
  };
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
  else if (dump.contents.epoch < epoch && dump.contents.epoch >= (oldestEpoch ?? 0)) {
    store.restore({ epochStartedAt: startedAt, contents: windowsOnly(dump.contents, epoch) }, now);
  }
  return store;
}

/** What is left of an epoch when the next one begins and the windows are kept. */
function windowsOnly(contents: OutcomeDelta, epoch: number): OutcomeDelta {
  const nothing = { sumMs: 0, buckets: [] };
  return {
    ...contents,
    epoch,
    counts: new Array<number>(COUNTS_LENGTH).fill(0),
    latency: { treatment: nothing, control: nothing },
    errorTypes: { treatment: [], control: [] },
    lastOutcomeAt: {},
    invalidDurations: 0,
    evidence: undefined,
  };
}

async function loadCheckpoint(folder: string): Promise<Checkpoint | undefined> {
  const text = await readIfPresent(join(folder, CHECKPOINT_FILE));
  return text === undefined ? undefined : fileSchema.parse(JSON.parse(text));
}

async function* rowsAfter(folder: string, { sequence, offset }: LogPosition): AsyncGenerator<OutcomeRow> {
  const newest = join(folder, JSONL_FILE);
  const rotated = await rotatedFiles(newest);
  const files = [...rotated, { path: newest, sequence: (rotated.at(-1)?.sequence ?? 0) + 1 }];
  for (const file of files) {
    if (file.sequence < sequence) continue;
    const handle = await open(file.path, 'r');
    try {
      const { size } = await handle.stat();
      for await (const lines of linesOf(handle, file.sequence === sequence ? offset : 0, size)) {
        for (const line of lines) {
          const row = line ? parseOutcomeLine(line) : '';
          if (typeof row !== 'string') yield row;
        }
      }
    } finally {
      await handle.close();
    }
  }
}
