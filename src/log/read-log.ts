import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { linesOf } from '../support/files.js';
import { JSONL_FILE, rotatedFiles } from './log-files.js';
import { type OutcomeRow, parseOutcomeLine } from './log-row-schema.js';

/** A problem with a line. */
export interface LogProblem {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly line: number;
  readonly reason: string;
  /** Whether the line is used all the same. */
  readonly used: boolean;
}

export interface ReadOutcomeLogOptions {
  /** Called for each line that is left out, and for each whose time is before that of the line above it. */
  readonly onProblem?: ((problem: LogProblem) => void) | undefined;
}

/**
 * The rows of an outcome log in the order in which they were written, rotated files first. It needs constant memory,
 * however long the log and its lines are. The log may be written at the same time: what was there at the beginning is
 * read.
 *
 * @param path - The folder of a guard, its `metrics.jsonl`, or any one JSONL file of outcomes.
 * @throws when there is no such file, or it cannot be read.
 */
export async function* readOutcomeLog(
  path: string,
  options: ReadOutcomeLogOptions = {},
): AsyncGenerator<OutcomeRow, void, void> {
  for await (const rows of readOutcomeBatches(path, options)) yield* rows;
}

/** {@link readOutcomeLog} in batches, which is faster: one `await` for some hundreds of rows. */
export async function* readOutcomeBatches(
  path: string,
  options: ReadOutcomeLogOptions = {},
): AsyncGenerator<readonly OutcomeRow[], void, void> {
  const newest = (await stat(path)).isDirectory() ? join(path, JSONL_FILE) : path;
  // Opened before the others are listed: if it is set aside meanwhile, it is still this one that is read last.
  const handle = await open(newest, 'r');
  const order = { latest: '' };
  try {
    const { ino } = await handle.stat();
    for (const rotated of await rotatedFiles(newest)) {
      const file = await openUnlessGone(rotated.path);
      if (file === undefined) continue;
      try {
        if ((await file.stat()).ino === ino) break;
        yield* rowsOf(file, rotated.path, order, options);
      } finally {
        await file.close();
      }
    }
    yield* rowsOf(handle, newest, order, options);
  } finally {
    await handle.close();
  }
}

async function* rowsOf(
  handle: FileHandle,
  file: string,
  order: { latest: string },
  { onProblem }: ReadOutcomeLogOptions,
): AsyncGenerator<readonly OutcomeRow[], void, void> {
  const { size } = await handle.stat();
  let number = 0;
  for await (const lines of linesOf(handle, 0, size)) {
    const rows: OutcomeRow[] = [];
    for (const line of lines) {
      number += 1;
      if (line === '') continue;
      const row = line === undefined ? 'longer than any line of this log' : parseOutcomeLine(line);
      if (typeof row === 'string') {
        onProblem?.({ file, line: number, reason: row, used: false });
        continue;
      }
      if (isBefore(row.timestamp, order.latest)) {
        onProblem?.({ file, line: number, reason: 'its time is before that of a line above', used: true });
      } else {
        order.latest = row.timestamp;
      }
      rows.push(row);
    }
    yield rows;
  }
}

/** UTC times of one length compare as texts, and almost all are. */
function isBefore(time: string, latest: string): boolean {
  if (time >= latest && time.length === latest.length) return false;
  return latest !== '' && Date.parse(time) < Date.parse(latest);
}

async function openUnlessGone(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    // It was deleted by the limit of files since it was listed.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
