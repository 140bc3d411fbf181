import { readFile } from 'node:fs/promises';
import { replaceFile } from './replace-file.js';

/** A file's text, or undefined when there is no such file. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** One small file that is replaced as a whole, so that a crash leaves the old or the new one. */
export class KeptFile {
  readonly path: string;
  #latest: Promise<void> = Promise.resolve();

  /** @param path - Its folder is made when it does not exist. */
  constructor(path: string) {
    this.path = path;
  }

  /** What was saved last, or undefined when nothing was. */
  load(): Promise<string | undefined> {
    return readIfPresent(this.path);
  }

  /** Resolves when the text is on the disk itself. Calls are written in their order; one that fails holds up none. */
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
