import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK_BYTES = 64 * 1024;

/**
 * A temporary file that one writer fills while any number of readers follow it, each from the first byte at its own
 * pace. A reader that has caught up waits for the writer; one that is slow costs disk, not memory.
 *
 * The file's name is removed as soon as it is open: the data lives as long as the handle, so that neither a crash nor
 * a kill can leave a user's file behind.
 */
export class Spool {
  readonly #handle: FileHandle;
  #writtenBytes = 0;
  #state: 'filling' | 'complete' | 'failed' = 'filling';
  #error: unknown;
  #waiting: (() => void)[] = [];

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Opens an empty spool in `directory`. */
  static async open(directory: string): Promise<Spool> {
    const path = join(directory, `upload-${randomUUID()}`);
    const handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(handle);
  }

  /** Writes all of `source` and completes; if `source` or the disk fails, every reader gets that error. */
  async fill(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        await this.#write(chunk);
        this.#wake();
      }
      if (this.#state === 'filling') this.#state = 'complete';
    } catch (error) {
      this.#fail(error);
    }
    this.#wake();
  }

  /** The content from its first byte on; ends when the writer has completed. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (let position = 0; ; ) {
      if (this.#state === 'failed') throw this.#error;
      if (position < this.#writtenBytes) {
        const length = Math.min(CHUNK_BYTES, this.#writtenBytes - position);
        const { bytesRead, buffer } = await this.#handle.read(
          Buffer.allocUnsafe(length),
          0,
          length,
          position,
        );
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (this.#state === 'complete') {
        return;
      } else {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  /** Frees the disk space. Readers that are still under way fail. */
  async close(): Promise<void> {
    this.#fail(new Error('The file has been closed.'));
    this.#wake();
    await this.#handle.close();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      if (this.#state === 'failed') throw this.#error;
      const length = chunk.length - offset;
      const { bytesWritten } = await this.#handle.write(chunk, offset, length, this.#writtenBytes);
      offset += bytesWritten;
      this.#writtenBytes += bytesWritten;
    }
  }

  /** Readers get the first error. */
  #fail(error: unknown): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#error = error;
  }

  #wake(): void {
    const woken = this.#waiting;
    this.#waiting = [];
    for (const resume of woken) resume();
  }
}
