import { Agent } from 'undici';
import type { FileProvider } from './file-provider.js';
import type { UploadPath } from './upload-file.js';

/** How the streaming path uses the network. */
export interface StreamingOptions {
  /** Connections kept open to the provider, and so the uploads at a time; further ones wait. @default 16 */
  readonly connections?: number | undefined;
  /**
   * A connection on which nothing moves for so long is given up, in milliseconds; another attempt then gets its chance
   * within the upload's own time limit.
   * @default 10_000
   */
  readonly stallTimeoutMs?: number | undefined;
}

/**
 * The new path, the rollout's treatment: each chunk goes on to the provider as it comes in, over a connection that is
 * kept for the next upload.
 *
 * Memory stays at a few chunks an upload, however large the file: undici reads the next chunk only when the
 * connection has accepted the last. The length is not known at the start, so the body is sent in chunked encoding.
 */
export function createStreamingUpload(provider: FileProvider, options: StreamingOptions = {}): UploadPath {
  const stallTimeoutMs = options.stallTimeoutMs ?? 10_000;
  const connections = new Agent({
    connections: options.connections ?? 16,
    // undici restarts these two timers whenever the connection sends or receives something.
    headersTimeout: stallTimeoutMs,
    bodyTimeout: stallTimeoutMs,
    keepAliveTimeout: 30_000,
  });
  return {
    provider: provider.name,
    async upload(file, signal) {
      const outgoing = { name: file.name, contentType: file.contentType, content: () => file.stream() };
      const stored = await provider.send(outgoing, { connections, signal });
      return { ...stored, via: 'streaming' };
    },
    close: () => connections.close(),
  };
}
