import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

/** The log for programs: one JSON object a line. */
export const JSONL_FILE = 'metrics.jsonl';
/** The same log for spreadsheets. */
export const CSV_FILE = 'metrics.csv';

/** A log file that is full and was set aside: `metrics.000012.jsonl`. */
export interface RotatedFile {
  readonly path: string;
  /** Counts up from 1, the oldest first. */
  readonly sequence: number;
}

/** The name under which a full log file is set aside. */
export function rotatedPath(path: string, sequence: number): string {
  const extension = extname(path);
  const name = basename(path, extension);
  return join(dirname(path), `${name}.${String(sequence).padStart(6, '0')}${extension}`);
}

/** The files that a log was split into, the oldest first; the one still being written, `path` itself, is not among them. */
export async function rotatedFiles(path: string): Promise<RotatedFile[]> {
  const extension = extname(path);
  const prefix = `${basename(path, extension)}.`;
  const folder = dirname(path);
  const files: RotatedFile[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(extension)) continue;
    const digits = name.slice(prefix.length, name.length - extension.length);
    if (/^\d{6,15}$/.test(digits)) files.push({ path: join(folder, name), sequence: Number(digits) });
  }
  return files.sort((a, b) => a.sequence - b.sequence);
}
