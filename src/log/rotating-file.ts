import { closeSync, openSync, writeSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { OWN_FILES, openIfPresent, openIn, unlessMissing, type WriteOptions } from '../support/files.js';

/** Where a log ends: the file, counted from 1 (the first ever), and the byte within it. */
export interface LogPosition {
  readonly sequence: number;
  readonly offset: number;
}

/** How large a log may grow, and how it is written. */
export interface RotationOptions extends WriteOptions {
  readonly maxFileBytes: number;
  /** With the one being written. */
  readonly maxFiles: number;
}

/** At most 1 GiB. */
export const DEFAULT_ROTATION = { maxFileBytes: 64 * 2 ** 20, maxFiles: 16 } as const;

/**
 * A file of lines that only grows, and is set aside when it is full: `metrics.jsonl` → `metrics.000001.jsonl`. It
 * remembers the byte at which each write ended, from which a restart resumes, and never leaves half a line: after a crash
 * that is cut off on opening, on a full disk at once. A file that was removed or moved away is noticed by the next write, which begins
 * a new one. A file that is not written to for a while may be closed: a process may have thousands. Calls must follow one another.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #header: string;
  readonly #options: RotationOptions;
  readonly #onGone: () => void;
  #handle: FileHandle | undefined;
  #sequence = 1;
  #bytes = 0;
  #identity = '';

  /**
   * @param header - The first line of every file, with its line end; empty for none.
   * @param onGone - Called when the file is no longer where it was.
   */
  constructor(path: string, header: string, options: RotationOptions, onGone: () => void = () => {}) {
    this.#path = path;
    this.#header = header;
    this.#options = options;
    this.#onGone = onGone;
  }

  /** Where the next line will be. */
  get position(): LogPosition {
    return { sequence: this.#sequence, offset: this.#bytes };
  }

  /** Opens or creates the file, and cuts off half a last line. @throws when the folder cannot be written to. */
  async open(): Promise<void> {
    if (this.#handle !== undefined) return;
    const path = this.#path;
    const { mode = OWN_FILES, permit } = this.#options;
    await permit?.();
    const handle = await openIn(dirname(path), mode, () => open(path, 'a+', mode));
    this.#handle = handle;
    try {
      this.#sequence = ((await rotatedFiles(path)).at(-1)?.sequence ?? 0) + 1;
      const found = await handle.stat();
      const known = this.#identity;
      this.#identity = identityOf(found);
      // A file system gives a new file the number of the one that was removed: then it is shorter.
      if (known !== '' && (known !== this.#identity || found.size < this.#bytes)) this.#onGone();
      this.#bytes = await cutTornLine(handle, found.size);
      // One header for one file: a version with other columns begins a file of its own.
      if (this.#bytes > 0 && !(await beginsWith(handle, this.#header))) await this.#rotate();
      else if (this.#bytes === 0) await this.#write(this.#header);
    } catch (error) {
      await this.#forget();
      throw error;
    }
  }

  /**
   * Adds whole lines, each with its line end. @throws when they could not be written; none of them is then.
   *
   * @param lines - Or what makes them for where they will be, and may be called twice.
   */
  async append(lines: string | ((position: LogPosition) => string)): Promise<void> {
    await this.#leaveIfGone();
    if (this.#handle === undefined) await this.open();
    else await this.#options.permit?.();
    const made = typeof lines === 'string' ? lines : lines(this.position);
    const isFull = this.#bytes + Buffer.byteLength(made) > this.#options.maxFileBytes;
    if (!isFull || this.#bytes <= this.#header.length) return this.#write(made);
    await this.#rotate();
    return this.#write(typeof lines === 'string' ? lines : lines(this.position));
  }

  /** As `append`, for the last moment of a process: no rotation, and nothing when the file could not be opened or written before. */
  appendSync(lines: string): void {
    if (this.#identity === '' || lines === '') return;
    const data = Buffer.from(lines);
    const fd = this.#handle?.fd ?? openSync(this.#path, 'a', this.#options.mode ?? OWN_FILES);
    for (let written = 0; written < data.length; ) written += writeSync(fd, data, written);
    this.#bytes += data.length;
    if (this.#handle === undefined) closeSync(fd);
  }

  /** Resolves when everything is on the disk itself, if the file system supports that. */
  async sync(): Promise<void> {
    try {
      await this.#handle?.datasync();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error;
    }
  }

  /** Closes the file; `append` opens it again. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }

  /** Closes the file, and takes whatever it opens next for its own. */
  async #forget(): Promise<void> {
    await this.close();
    this.#identity = '';
  }

  /** What is written into a file that was removed or moved away would be lost, or in the wrong place. */
  async #leaveIfGone(): Promise<void> {
    if (this.#handle === undefined) return;
    const found = await unlessMissing(stat(this.#path));
    if (found !== undefined && identityOf(found) === this.#identity) return;
    await this.#forget();
    this.#onGone();
  }

  async #write(lines: string): Promise<void> {
    const handle = this.#handle!;
    const data = Buffer.from(lines);
    try {
      for (let written = 0; written < data.length; ) {
        written += (await handle.write(data, written)).bytesWritten;
      }
      this.#bytes += data.length;
    } catch (error) {
      await handle.truncate(this.#bytes).catch(() => {});
      // Reopened next time, which reads its real length.
      await this.#forget();
      throw error;
    }
  }

  async #rotate(): Promise<void> {
    const path = this.#path;
    const { maxFiles, mode = OWN_FILES } = this.#options;
    await this.close();
    await rename(path, rotatedPath(path, this.#sequence));
    this.#identity = '';
    const rotated = await rotatedFiles(path);
    for (const { path: old } of rotated.slice(0, Math.max(0, rotated.length - (maxFiles - 1)))) {
      await rm(old, { force: true });
    }
    const handle = await open(path, 'a+', mode);
    this.#handle = handle;
    this.#identity = identityOf(await handle.stat());
    this.#sequence += 1;
    this.#bytes = 0;
    await this.#write(this.#header);
  }
}

function identityOf({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`;
}

const NEWLINE = 10;
const CHUNK_BYTES = 64 * 1024;

/** Shortens the file to its last line end. @returns its length then. */
async function cutTornLine(handle: FileHandle, size: number): Promise<number> {
  const chunk = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES));
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await handle.read(chunk, 0, end - from, from);
    const newline = chunk.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline >= 0) {
      const length = from + newline + 1;
      if (length < size) await handle.truncate(length);
      return length;
    }
    end = from;
  }
  if (size > 0) await handle.truncate(0);
  return 0;
}

async function beginsWith(handle: FileHandle, text: string): Promise<boolean> {
  const expected = Buffer.from(text);
  const start = Buffer.alloc(expected.length);
  const { bytesRead } = await handle.read(start, 0, start.length, 0);
  return bytesRead === expected.length && start.equals(expected);
}

/** A log file that is full and was set aside: `metrics.000012.jsonl`. */
interface RotatedFile {
  readonly path: string;
  /** Counts up from 1, the oldest first. */
  readonly sequence: number;
}

/** The name under which a full log file is set aside. */
function rotatedPath(path: string, sequence: number): string {
  const extension = extname(path);
  const name = basename(path, extension);
  return join(dirname(path), `${name}.${String(sequence).padStart(6, '0')}${extension}`);
}

/** The files that a log was split into, the oldest first; the one still being written, `path` itself, is not among them. */
async function rotatedFiles(path: string): Promise<RotatedFile[]> {
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

/** One file of a log, open. */
interface LogFile extends RotatedFile {
  readonly handle: FileHandle;
}

/**
 * The files of a log, the oldest first, each open until the next one is asked for. The log may be written and rotated
 * meanwhile: what was there at the beginning is read once.
 *
 * @param from - The first file that is wanted.
 * @returns nothing, when there is no file.
 */
export async function* filesOfLog(path: string, from = 1): AsyncGenerator<LogFile, void, void> {
  // Opened before the others are listed: if it is set aside meanwhile, it is still this one that is read last.
  const handle = await openIfPresent(path);
  try {
    const newest = handle && identityOf(await handle.stat());
    let last = 0;
    for (const { path: rotated, sequence } of (await unlessMissing(rotatedFiles(path))) ?? []) {
      // Undefined when the limit of files has deleted it since it was listed.
      const file = sequence < from ? undefined : await openIfPresent(rotated);
      try {
        if (file !== undefined && identityOf(await file.stat()) === newest) break;
        last = sequence;
        if (file !== undefined) yield { handle: file, path: rotated, sequence };
      } finally {
        await file?.close();
      }
    }
    if (handle !== undefined) yield { handle, path, sequence: last + 1 };
  } finally {
    await handle?.close();
  }
}
