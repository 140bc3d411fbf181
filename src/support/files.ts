import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A file's text, or undefined when there is no such file. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
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
    // Half a draft on a full disk only takes space.
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

/** One small file that is replaced as a whole, so that a crash leaves the old or the new one. */
export class KeptFile {
  readonly path: string;
  #latest: Promise<void> = Promise.resolve();

  /** @param path - Its folder is created if it does not exist. */
  constructor(path: string) {
    this.path = path;
  }

  /** The text that was saved last, or undefined without one. */
  load(): Promise<string | undefined> {
    return readIfPresent(this.path);
  }

  /** Resolves when the text is on the disk itself. Calls are written in order; a failed one does not stop the next. */
  save(text: string): Promise<void> {
    const saved = this.#latest.then(() => replaceFile(this.path, text));
    this.#latest = saved.catch(() => {});
    return saved;
  }

  /** Resolves when every `save` so far has ended. */
  async settled(): Promise<void> {
    await this.#latest;
  }
}

const CHUNK_BYTES = 256 * 1024;
/** Far above the length of one outcome; a longer line does not belong to this log. */
export const MAX_LINE_BYTES = 1024 * 1024;
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
