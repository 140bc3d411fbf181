import { type FileHandle, open, realpath } from 'node:fs/promises';
import { basename, extname, resolve, sep } from 'node:path';
import { plainFileName } from './file-name.js';
import { UploadError } from './upload-error.js';
import type { UploadFile } from './upload-file.js';

/** Where files for `POST /upload-path` may lie. */
export interface LocalFileOptions {
  /** The only folder that is read; paths are relative to it. */
  readonly directory: string;
  readonly maxFileBytes: number;
}

/**
 * A file that lies on the service's own disk already, in a folder for imports. It is opened when an upload path reads it,
 * so that a missing or forbidden file is an outcome of that path, recorded as the user's mistake.
 */
export class LocalFile implements UploadFile {
  readonly name: string;
  readonly contentType: string;
  receivedBytes = 0;
  readonly #path: string;
  readonly #options: LocalFileOptions;

  constructor(path: string, options: LocalFileOptions) {
    this.name = plainFileName(basename(path));
    this.contentType = MEDIA_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
    this.#path = path;
    this.#options = options;
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    const handle = await this.#open();
    yield* handle.createReadStream(); // Closes the handle, whether or not it is read to its end.
  }

  async bytes(): Promise<Uint8Array> {
    const handle = await this.#open();
    try {
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  async #open(): Promise<FileHandle> {
    const { directory, maxFileBytes } = this.#options;
    let handle: FileHandle | undefined;
    try {
      const folder = await realpath(directory);
      // Links are followed first: a link in the folder must not lead out of it.
      const path = await realpath(resolve(folder, this.#path));
      if (!path.startsWith(folder + sep)) throw notFound();
      handle = await open(path);
      const stat = await handle.stat();
      if (!stat.isFile()) throw notFound();
      if (stat.size > maxFileBytes) throw UploadError.tooLarge(maxFileBytes);
      this.receivedBytes = stat.size;
      return handle;
    } catch (error) {
      await handle?.close();
      throw asUploadError(error);
    }
  }
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.py': 'text/x-python',
  '.txt': 'text/plain',
};

/** A wrong path is the user's mistake; a broken disk, or no more file handles, is not. */
function asUploadError(error: unknown): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
    case 'ERR_INVALID_ARG_VALUE': // A NUL in the path.
      return notFound(error);
    case 'EACCES':
    case 'EPERM':
      return new UploadError('FILE_NOT_READABLE', 403, 'The service may not read this file.', {
        cause: error,
      });
    default:
      return error;
  }
}

/** Also for paths outside the folder: whether they exist is not disclosed. */
function notFound(cause?: unknown): UploadError {
  return new UploadError('FILE_NOT_FOUND', 404, 'There is no such file in the import folder.', { cause });
}
