import { plainFileName } from './file-name.js';
import { Spool } from './spool.js';
import type { UploadFile } from './upload-file.js';

/** A file as it comes in: its content can be read once only. */
export interface IncomingFile {
  readonly name: string;
  readonly contentType: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** Ends `content`, whether or not it has been read. */
  discard(): void;
}

/**
 * Makes an {@link UploadFile}, which can be read again and again, of one that can be read only once.
 *
 * Nothing is read before an upload path reads it, and what that path calls first decides where the content is kept:
 * `stream()` spools it to a temporary file and follows that file; `bytes()` keeps it in memory, as the buffered path
 * always did. Asking the other question later works too: a fallback finds the whole file in the spool.
 */
export class ReceivedFile implements UploadFile {
  readonly name: string;
  readonly contentType: string;
  receivedBytes = 0;
  readonly #incoming: IncomingFile;
  readonly #directory: string;
  #spooled: Promise<Spool> | undefined;
  #buffered: Promise<Uint8Array> | undefined;

  constructor(
    incoming: IncomingFile,
    /** Where the temporary file lives. */
    directory: string,
  ) {
    this.name = plainFileName(incoming.name);
    this.contentType = incoming.contentType;
    this.#incoming = incoming;
    this.#directory = directory;
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    if (this.#buffered !== undefined) {
      yield await this.#buffered;
    } else {
      this.#spooled ??= this.#startSpooling().catch((error) => {
        this.#spooled = undefined; // Nothing has been read yet: the other path still can.
        throw error;
      });
      yield* (await this.#spooled).read();
    }
  }

  bytes(): Promise<Uint8Array> {
    this.#buffered ??= collect(this.#spooled === undefined ? this.#content() : this.stream());
    return this.#buffered;
  }

  /** Frees what the file occupies. Call it once no upload path needs the file any more, however that ended. */
  async close(): Promise<void> {
    this.#incoming.discard();
    const spool = await this.#spooled?.catch(() => undefined);
    await spool?.close();
  }

  async *#content(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#incoming.content) {
      this.receivedBytes += chunk.length;
      yield chunk;
    }
  }

  async #startSpooling(): Promise<Spool> {
    const spool = await Spool.open(this.#directory);
    void spool.fill(this.#content()); // Never rejects: readers get the error.
    return spool;
  }
}

async function collect(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
