import type { Dispatcher } from 'undici';

/** A provider that keeps files, such as Kimi or GLM. */
export interface FileProvider {
  /** For logs: `kimi`, `glm`, or `kimi+glm` for the one with the other as its fallback. */
  readonly name: string;
  /** `POST`s the file; resolves when the provider has confirmed that it has all of it. */
  send(file: OutgoingFile, options: SendOptions): Promise<StoredFile>;
}

/** A file on the way out. */
export interface OutgoingFile {
  readonly name: string;
  readonly contentType: string;
  /** The whole content, or a function that reads it from its first byte on: a second provider reads it again. */
  readonly content: Uint8Array | (() => AsyncIterable<Uint8Array>);
}

/** How to send. */
export interface SendOptions {
  /** Which connections to use. */
  readonly connections: Dispatcher;
  readonly signal: AbortSignal;
}

/** The provider's own record of a file. */
export interface StoredFile {
  readonly id: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Who keeps it: `kimi` or `glm`. */
  readonly provider: string;
}

/** The provider refused a file, or did not do what it documents. */
export class FileProviderError extends Error {
  override readonly name = 'FileProviderError';

  constructor(
    /** `PROVIDER_HTTP_<status>`, `PROVIDER_ANSWER_INVALID` or `PROVIDER_FILE_INCOMPLETE`. */
    readonly code: string,
    message: string,
    /** The status that the provider answered with, if that was the trouble: it decides whether a retry can help. */
    readonly statusCode?: number | undefined,
  ) {
    super(message);
  }
}

/** Whether the file provider is to blame for `error`. */
export function isFileProviderError(error: unknown): error is FileProviderError {
  return error instanceof FileProviderError;
}

/** Whether the provider refused a file for its size: 413, and 435 at GLM, which no fault of an upload path causes. */
export function isTooLargeForProvider(error: unknown): boolean {
  return isFileProviderError(error) && (error.statusCode === 413 || error.statusCode === 435);
}
