import { type FileHandle, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { linesOf, unlessMissing } from '../support/files.js';
import { type OutcomeRow, parseOutcomeLine, RepeatedNames } from './log-row-schema.js';
import { filesOfLog, type LogPosition } from './rotating-file.js';

/** The log for programs: one JSON object a line. */
export const JSONL_FILE = 'metrics.jsonl';

/** Why a line is a problem that is used all the same. */
export const OUT_OF_ORDER = 'its time is before that of a line above';

/** A problem with a line. */
export interface LogProblem {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly line: number;
  readonly reason: string;
  /** Whether the line is used all the same. */
  readonly used: boolean;
}

interface ReadOutcomeLogOptions {
  /** Called for each line that is left out, and for each whose time is before that of the line above it. */
  readonly onProblem?: ((problem: LogProblem) => void) | undefined;
  /** Reads only what was written from here on. @default the whole log */
  readonly from?: (LogPosition & { readonly flagKey: string }) | undefined;
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
  const isFolder = (await unlessMissing(stat(path)))?.isDirectory() ?? false;
  const newest = isFolder ? join(path, JSONL_FILE) : path;
  const { from, onProblem } = options;
  const order: Order = { latest: '', onProblem };
  let files = 0;
  for await (const { handle, path, sequence } of filesOfLog(newest, from?.sequence)) {
    files += 1;
    yield* rowsOf(handle, path, sequence === from?.sequence ? from : undefined, order);
  }
  // Says that there is no such file.
  if (files === 0) await stat(newest);
}

interface Order extends Pick<ReadOutcomeLogOptions, 'onProblem'> {
  /** The latest time of a row so far. */
  latest: string;
}

async function* rowsOf(
  handle: FileHandle,
  file: string,
  from: ReadOutcomeLogOptions['from'],
  order: Order,
): AsyncGenerator<readonly OutcomeRow[], void, void> {
  const { onProblem } = order;
  const { size } = await handle.stat();
  const names = new RepeatedNames(from?.flagKey);
  let number = 0;
  for await (const lines of linesOf(handle, from?.offset ?? 0, size)) {
    const rows: OutcomeRow[] = [];
    for (const line of lines) {
      number += 1;
      if (line === '') continue;
      const row = line === undefined ? 'longer than any line of this log' : parseOutcomeLine(line, names);
      if (typeof row === 'string') {
        onProblem?.({ file, line: number, reason: row, used: false });
        continue;
      }
      if (isBefore(row.timestamp, order.latest)) {
        onProblem?.({ file, line: number, reason: OUT_OF_ORDER, used: true });
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
