import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from './async/callbacks.js';
import { parseJson } from './json.js';

/** Permissions of the files that a guard makes, unless the user wants others: only their owner may read them. */
export const OWN_FILES = 0o600;

/** How files of one folder are written. */
export interface WriteOptions {
  /** Permissions of new files. @default 0o600 */
  readonly mode?: number | undefined;
  /** Called before each write; rejects when the folder may not be written in (any more). @default it may */
  readonly permit?: (() => Promise<void>) | undefined;
  /** Whether a file that is replaced survives a power cut, which costs some milliseconds. @default true */
  readonly isDurable?: boolean | undefined;
}

/** Far above what a guard writes into a file that is read as a whole. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * A file's text, or undefined when there is no such file.
 * @throws {@link UnusableFileError} when it is larger than `maxBytes`, or a pipe or device, which might never end.
 */
export async function readIfPresent(path: string, maxBytes = MAX_FILE_BYTES): Promise<string | undefined> {
  const found = await unlessMissing(stat(path));
  if (found === undefined) return undefined;
  if (!found.isFile() && !found.isDirectory()) throw new UnusableFileError(path, 'not a file');
  const handle = await openIfPresent(path);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) {
      throw new UnusableFileError(path, `larger than any file of a guard (${size} bytes)`);
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** A file to read, or undefined when there is no such file. */
export function openIfPresent(path: string): Promise<FileHandle | undefined> {
  return unlessMissing(open(path, 'r'));
}

/** What `opening` gives, or undefined when there is no such file. */
export async function unlessMissing<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The code of a system error, for example `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What is wrong with a file or folder, after its name. Permissions deny reading as well as writing. */
const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there and cannot be made',
  EROFS: 'is read-only: its file system is mounted so',
  EACCES: 'is read-only for this process, or closed to it',
  EPERM: 'is read-only for this process, or closed to it',
  ENOSPC: 'cannot be written: the disk is full',
  EDQUOT: 'cannot be written: the quota of the disk is used up',
  ENOTDIR: 'cannot be made: something above it is a file, not a folder',
  EISDIR: 'is a folder, not a file',
  ELOOP: 'is a link that leads nowhere',
  EMFILE: 'cannot be opened: this process has too many open files',
  ENFILE: 'cannot be opened: this machine has too many open files',
  EIO: 'cannot be reached: its disk fails',
  ESTALE: 'cannot be reached: its network file system fails',
  ETIMEDOUT: 'cannot be reached: its network file system fails',
};

/** An error in one sentence; that of a file says in words what is wrong with the file. */
export function describeError(error: unknown): string {
  const code = codeOf(error) ?? '';
  const problem = FILE_PROBLEMS[code];
  if (problem === undefined || !(error instanceof Error && 'syscall' in error)) return messageOf(error);
  const path = 'path' in error && typeof error.path === 'string' ? error.path : 'The file';
  return `${path} ${problem} (${code}).`;
}

/** Makes a folder, with those above it, if it does not exist. Whoever may read files with `mode` may enter it. */
export async function makeFolder(path: string, mode = OWN_FILES): Promise<void> {
  const folderMode = mode | 0o100 | ((mode & 0o044) >> 2);
  try {
    await mkdir(path, { recursive: true, mode: folderMode });
  } catch (error) {
    // On a read-only file system, Node says that there is no such folder.
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path), mode);
    await mkdir(path, { mode: folderMode });
  }
}

/**
 * Replaces a file as a whole, so that a crash, or a power cut unless `isDurable` is false, leaves the old or the new one. Resolves when
 * the new one is on the disk itself. The folder is created if it does not exist. Calls for one file must follow one another.
 */
export async function replaceFile(path: string, text: string, options: WriteOptions = {}): Promise<void> {
  const { mode = OWN_FILES, permit, isDurable = true } = options;
  const folder = dirname(path);
  await permit?.();
  const draft = `${path}.${randomBytes(6).toString('hex')}${DRAFT}`;
  // Exclusively: no other file is written, and no link is followed, whoever made one of this name.
  const handle = await openIn(folder, mode, () => open(draft, 'wx', mode));
  try {
    try {
      await handle.writeFile(text);
      if (isDurable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, path);
  } catch (error) {
    // Half a draft on a full disk is of no use.
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  if (isDurable) await syncFolder(folder);
}

/** Opens a file in a folder, which is made where it is missing: it seldom is. */
export async function openIn(
  folder: string,
  mode: number,
  opening: () => Promise<FileHandle>,
): Promise<FileHandle> {
  const handle = await unlessMissing(opening());
  if (handle !== undefined) return handle;
  await makeFolder(folder, mode);
  return opening();
}

/** The end of a draft's name. */
const DRAFT = '.tmp';

/** Whether a file is what a crash left of {@link replaceFile}. */
export function isDraft(name: string): boolean {
  return /\.[0-9a-f]{12}\.tmp$/.test(name);
}

/** Makes the rename itself survive a power cut, where the platform can. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems cannot.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error;
  } finally {
    await handle.close();
  }
}

const NOT_OURS = 'not what a guard writes';
const DAMAGED = 'damaged: it was cut off or overwritten';

/** A file that is there and cannot be used. */
export class UnusableFileError extends Error {
  override readonly name = 'UnusableFileError';
  readonly reason: string;

  /** @param reason - A few words after the file's name. */
  constructor(path: string, reason = NOT_OURS) {
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
  readonly #options: WriteOptions;
  #isUnusable = false;
  #latest: Promise<void> = Promise.resolve();
  /** What is written when the writing under way has ended. */
  #next: { text: string; readonly saved: Promise<void> } | undefined;

  /** @param path - Its folder is created if it does not exist. */
  constructor(path: string, version: number, schema: z.ZodType<Entry>, options: WriteOptions = {}) {
    this.path = path;
    this.#version = version;
    this.#schema = schema;
    this.#options = options;
  }

  /**
   * What was saved last, or undefined without one.
   * @throws {@link UnusableFileError} when the file has another version, or does not fit the schema; nothing of it is used, and it
   * is set aside before the next save.
   * @throws when the file cannot be read.
   */
  async load(): Promise<Entry | undefined> {
    try {
      return await this.#load();
    } catch (error) {
      if (error instanceof UnusableFileError) this.#isUnusable = true;
      throw error;
    }
  }

  /** Whether the file exists. */
  async isThere(): Promise<boolean> {
    return (await unlessMissing(stat(this.path))) !== undefined;
  }

  async #load(): Promise<Entry | undefined> {
    const text = await readIfPresent(this.path);
    if (text === undefined) return undefined;
    const file = parseJson(text);
    if (file === undefined) throw new UnusableFileError(this.path, text === '' ? 'empty' : DAMAGED);
    const { data } = versionSchema.safeParse(file);
    if (data !== undefined && data.version !== this.#version) {
      const reason = `written in version ${data.version}; this release reads version ${this.#version} only`;
      throw new UnusableFileError(this.path, reason);
    }
    const entry = this.#schema.safeParse(file);
    if (data === undefined || !entry.success) {
      const where = entry.error?.issues[0]?.path.join('.');
      throw new UnusableFileError(this.path, where ? `${NOT_OURS}: ${where} is missing or wrong` : NOT_OURS);
    }
    return entry.data;
  }

  /**
   * Resolves when the entry, or a later one in its place, is on the disk itself. Calls are written in order; a failed one does not stop
   * the next.
   */
  save(entry: Entry): Promise<void> {
    const text = `${JSON.stringify({ version: this.#version, ...entry })}\n`;
    if (this.#next !== undefined) this.#next.text = text;
    else this.#next = { text, saved: this.#latest.then(() => this.#writeNext()) };
    const { saved } = this.#next;
    this.#latest = saved.catch(() => {});
    return saved;
  }

  /** Renames a file that `load` could not use, which otherwise the next save does. @returns its path then. */
  async setAside(): Promise<string> {
    await this.#options.permit?.();
    const aside = await setAside(this.path);
    this.#isUnusable = false;
    return aside;
  }

  async #writeNext(): Promise<void> {
    const { text } = this.#next!;
    this.#next = undefined;
    if (this.#isUnusable) await this.setAside();
    await replaceFile(this.path, text, this.#options);
  }
}

/** Renames `journal.json` to `journal.unreadable-1.json`, or the first such name that is free: what it contains may matter. */
async function setAside(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const aside = path.replace(/(\.\w+)?$/, `.unreadable-${number}$1`);
    if ((await unlessMissing(stat(aside))) !== undefined) continue;
    await unlessMissing(rename(path, aside));
    return aside;
  }
}

/** Most files of a guard are short, and a thousand guards may read theirs at once. */
const FIRST_CHUNK_BYTES = 16 * 1024;
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
  let chunk = Buffer.allocUnsafe(FIRST_CHUNK_BYTES);
  /** The beginning of a line whose end has not come yet. */
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for (let position = from; ; ) {
    const wanted = Math.max(0, Math.min(chunk.length, to - position));
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
    if (bytesRead === chunk.length && bytesRead < CHUNK_BYTES) chunk = Buffer.allocUnsafe(CHUNK_BYTES);
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
