import type { FileProvider } from './file-provider.js';
import { isUploadError } from './upload-error.js';

/** How one provider stands in for another. */
export interface FallbackProviderOptions {
  /**
   * The first provider's share of the time, in milliseconds. One that stalls must leave the second enough of the
   * upload's own limit.
   * @default 15_000, half of the guard's 30 seconds
   */
  readonly firstTimeoutMs?: number | undefined;
  /** Gets the first provider's error each time the second is called. */
  readonly onFallback?: ((error: unknown) => void) | undefined;
}

/**
 * Sends to `first`, and when that fails, the same file from its first byte on to `second`. When both fail, the error
 * is the second's, and the first's its `cause`.
 */
export function createFallbackProvider(
  first: FileProvider,
  second: FileProvider,
  options: FallbackProviderOptions = {},
): FileProvider {
  const firstTimeoutMs = options.firstTimeoutMs ?? 15_000;
  return {
    name: `${first.name}+${second.name}`,
    async send(file, { connections, signal }) {
      const firstSignal = AbortSignal.any([signal, AbortSignal.timeout(firstTimeoutMs)]);
      let firstError: unknown;
      try {
        return await first.send(file, { connections, signal: firstSignal });
      } catch (error) {
        // The caller has aborted, or the file itself cannot be read: the second provider would fail too.
        if (signal.aborted || isUploadError(error)) throw error;
        firstError = error;
      }
      options.onFallback?.(firstError);
      try {
        return await second.send(file, { connections, signal });
      } catch (error) {
        if (error instanceof Error) error.cause ??= firstError;
        throw error;
      }
    },
  };
}
