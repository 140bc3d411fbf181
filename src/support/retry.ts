import { onAbort } from './async/abort.js';

/** When and how often something is tried again. */
export interface RetryPolicy {
  /** How often a failed attempt is repeated; `Infinity` for no limit. */
  readonly retries: number;
  /** The longest first pause, in milliseconds; at least half of it, the rest by chance. It doubles from attempt to attempt. */
  readonly initialDelayMs: number;
  /** The longest pause, in milliseconds, unless the server requests a longer one. */
  readonly maxDelayMs: number;
  /** Ends the pauses; `retry` then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a pause keeps the process alive. @default true */
  readonly keepsProcessAlive?: boolean | undefined;
  /**
   * Called after a failed attempt (1 for the first) that may be repeated: `false` ends the retries, and this error is
   * thrown; a number repeats it after the pause and as many milliseconds more, which the server requested.
   */
  readonly shouldRetry: (error: unknown, attempt: number) => number | false;
}

/** A longer `Retry-After` of a server is cut to this. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * Runs `attempt` until it succeeds, fails for good, or the policy ends. The pauses grow, partly by chance, so that
 * a fleet does not come back all at once.
 *
 * @throws what the last attempt threw, or the signal's reason.
 */
export async function retry<T>(attempt: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  const { retries, initialDelayMs, maxDelayMs, signal, keepsProcessAlive = true, shouldRetry } = policy;
  for (let number = 1; ; number++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      const retryAfterMs = number <= retries && shouldRetry(error, number);
      if (retryAfterMs === false) throw error;
      const backoffMs = jittered(initialDelayMs * 2 ** (number - 1));
      const delayMs = Math.min(backoffMs, maxDelayMs) + Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
      await pause(delayMs, keepsProcessAlive, signal);
    }
  }
}

/** A pause between half of the longest and all of it, by chance: what failed together must not come back together. */
export function jittered(longestMs: number, random = Math.random): number {
  return (longestMs / 2) * (1 + random());
}

function pause(delayMs: number, keepsProcessAlive: boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      ignore?.();
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    if (!keepsProcessAlive) timer.unref();
    const ignore = signal && onAbort(signal, end);
  });
}
