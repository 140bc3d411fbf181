import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { parseJson } from './json.js';

/** A file's text, or undefined when there is no such file. */
export function readIfPresent(path: string): Promise<string | undefined> {
  return unlessMissing(readFile(path, 'utf8'));
}

/** A file to read, or undefined when there is no such file. */
export function openIfPresent(path: string): Promise<FileHandle | undefined> {
  return unlessMissing(open(path, 'r'));
}

async function unlessMissing<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Replaces a file as a whole, so that a crash or a power cut leaves the old or the new one. Resolves when the new one
 * is on the disk itself. The folder is created if it does not exist. Calls for one file must follow one another.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(draft, text, { flush: true });
    await rename(draft, path);
  } catch (error) {
    // Half a draft on a full disk is of no use.
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

/** Makes the rename itself survive a power cut, where the platform can. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file that is there and cannot be used. */
export class UnusableFileError extends Error {
  override readonly name = 'UnusableFileError';
  readonly reason: string;

  /** @param reason - A few words after the file's name. */
  constructor(path: string, reason = 'not what a guard writes') {
    super(`${path}: ${reason}`);
    this.reason = reason;
  }
}

const versionSchema = z.object({ version: z.int() });

/** One small JSON file with a version. It is replaced as a whole, so that a crash leaves the old or the new one. */
export class VersionedFile<Entry extends object> {
  readonly path: string;
  readonly #version: number;
  readonly #schema: z.ZodType<Entry>;
  #latest: Promise<void> = Promise.resolve();

  /** @param path - Its folder is created if it does not exist. */
  constructor(path: string, version: number, schema: z.ZodType<Entry>) {
    this.path = path;
    this.#version = version;
    this.#schema = schema;
  }

  /**
   * What was saved last, or undefined without one.
   * @throws {@link UnusableFileError} when the file has another version, or does not fit the schema; nothing of it is used.
   * @throws when the file cannot be read.
   */
  async load(): Promise<Entry | undefined> {
    const text = await readIfPresent(this.path);
    if (text === undefined) return undefined;
    const file = parseJson(text);
    const { data } = versionSchema.safeParse(file);
    if (data !== undefined && data.version !== this.#version) {
      const reason = `written in version ${data.version}; this release reads version ${this.#version} only`;
      throw new UnusableFileError(this.path, reason);
    }
    const entry = this.#schema.safeParse(file);
    if (data === undefined || !entry.success) {
      throw new UnusableFileError(this.path);
    }
    return entry.data;
  }

  /** Resolves when the entry is on the disk itself. Calls are written in order; a failed one does not stop the next. */
  save(entry: Entry): Promise<void> {
    const text = `${JSON.stringify({ version: this.#version, ...entry })}\n`;
    const saved = this.#latest.then(() => replaceFile(this.path, text));
    this.#latest = saved.catch(() => {});
    return saved;
  }
}

const CHUNK_BYTES = 256 * 1024;
/** Far above the length of an outcome or event: a longer line is neither. */
const MAX_LINE_BYTES = 1024 * 1024;
const NEWLINE = 10;

/**
 * The lines of a file from byte `from` to byte `to`, some hundreds at a time, without their line ends; the last one
 * counts even without one. A line longer than {@link MAX_LINE_BYTES} is `undefined`.
 */
export async function* linesOf(
  handle: FileHandle,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<(string | undefined)[], void, void> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** The beginning of a line whose end has not come yet. */
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for (let position = from; ; ) {
    const wanted = Math.max(0, Math.min(CHUNK_BYTES, to - position));
    const { bytesRead } = await handle.read(chunk, 0, wanted, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const read = chunk.subarray(0, bytesRead);
    const last = read.lastIndexOf(NEWLINE);
    if (last >= 0) {
      const first = begunBytes > 0 ? read.indexOf(NEWLINE) : -1;
      const lines: (string | undefined)[] =
        last > first ? read.toString('utf8', first + 1, last).split('\n') : [];
      if (first >= 0) lines.unshift(textOf([...begun, read.subarray(0, first)], begunBytes + first));
      yield lines.map(withoutReturn);
      begun = [];
      begunBytes = 0;
    }
    const rest = read.subarray(last + 1);
    if (begunBytes <= MAX_LINE_BYTES && rest.length > 0) begun.push(Buffer.from(rest));
    begunBytes += rest.length;
  }
  if (begunBytes > 0) yield [withoutReturn(textOf(begun, begunBytes))];
}

function textOf(parts: Buffer[], bytes: number): string | undefined {
  return bytes > MAX_LINE_BYTES ? undefined : Buffer.concat(parts).toString('utf8');
}

/** Editors of some systems end lines with a return as well. */
function withoutReturn(line: string | undefined): string | undefined {
  return line?.endsWith('\r') ? line.slice(0, -1) : line;
}
