import { join } from 'node:path';
import type { VersionedFile, WriteOptions } from '../support/files.js';
import { type Checkpoint, checkpointFile } from './checkpoint.js';
import { JSONL_FILE } from './read-log.js';
import { RotatingFile, type RotationOptions } from './rotating-file.js';

/** The same log for spreadsheets. */
const CSV_FILE = 'metrics.csv';

/** Where an outcome log writes. One guard of one process does. */
export interface LogPlace extends WriteOptions {
  /** Created if it does not exist. */
  readonly folder: string;
}

/** The files of an outcome log. */
export interface LogFiles {
  readonly place: LogPlace;
  readonly jsonl: RotatingFile;
  readonly csv: RotatingFile | undefined;
  readonly checkpoints: VersionedFile<Checkpoint>;
}

/**
 * @param columns - Those of the table; undefined for none.
 * @param onGone - Called with the path of a log that was removed or moved away.
 */
export function logFilesIn(
  place: LogPlace,
  columns: readonly string[] | undefined,
  limits: Pick<RotationOptions, 'maxFileBytes' | 'maxFiles'>,
  onGone: (path: string) => void,
): LogFiles {
  const { folder, mode, permit } = place;
  const rotation = { ...limits, mode, permit };
  const file = (name: string, header: string) => {
    const path = join(folder, name);
    return new RotatingFile(path, header, rotation, () => onGone(path));
  };
  return {
    place,
    jsonl: file(JSONL_FILE, ''),
    csv: columns && file(CSV_FILE, `${columns.join(',')}\n`),
    checkpoints: checkpointFile(folder, place),
  };
}
