/**
 * A file on its way to the provider. Both upload paths take one, and either may be called more than once with the same
 * file: by a retry, or as the fallback after the other failed half-way. So reading never uses it up.
 */
export interface UploadFile {
  /** A plain file name: no path, no control characters. */
  readonly name: string;
  /** The media type that the user's client announced. */
  readonly contentType: string;
  /** How much of it has come in so far. */
  readonly receivedBytes: number;
  /** The file from its first byte on, while it may still be arriving. */
  stream(): AsyncIterable<Uint8Array>;
  /** The whole file in memory, once all of it has arrived. */
  bytes(): Promise<Uint8Array>;
}

/** The file provider's record of a file, and which path uploaded it. */
export interface UploadResult {
  /** Who keeps the file: `kimi` or `glm`. */
  readonly provider: string;
  readonly id: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly via: 'streaming' | 'buffered';
}

/** One way to bring a file to the provider. */
export interface UploadPath {
  /** The file provider's name. */
  readonly provider: string;
  upload(file: UploadFile, signal: AbortSignal): Promise<UploadResult>;
  /** Closes its connections; uploads that still run end first. */
  close(): Promise<void>;
}
