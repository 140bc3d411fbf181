import pRetry from 'p-retry';

/** How often and how patiently something is tried again. */
export interface RetryPolicy {
  /** How often a failed attempt is repeated; `Infinity` for as long as it takes. */
  readonly retries: number;
  /** The longest first pause, in milliseconds; at least half of it, the rest by chance. It doubles from attempt to attempt. */
  readonly initialDelayMs: number;
  /** The longest pause, in milliseconds, unless the server asks for a longer one. */
  readonly maxDelayMs: number;
  /** Ends the pauses; `retry` then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a pause keeps the process alive. @default true */
  readonly keepsProcessAlive?: boolean | undefined;
  /**
   * Asked after a failed attempt (1 for the first) that may be repeated: `false` gives up with this error; a number
   * repeats it after the pause, to which the milliseconds that the server asked for are added.
   */
  readonly shouldRetry: (error: Error, attempt: number) => number | false;
}

/** A server that asks for more than this is asked again sooner. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * Runs `attempt` until it succeeds, fails for good, or the policy ends. The pauses grow, partly by chance, so that
 * a fleet does not come back all at once.
 *
 * @throws what the last attempt threw, or the signal's reason.
 */
export async function retry<T>(attempt: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  const { retries, initialDelayMs, maxDelayMs, signal, keepsProcessAlive = true, shouldRetry } = policy;
  try {
    return await pRetry(attempt, {
      retries,
      factor: 2,
      minTimeout: initialDelayMs / 2,
      maxTimeout: maxDelayMs,
      randomize: true,
      unref: !keepsProcessAlive,
      signal,
      shouldRetry: async ({ error, attemptNumber }) => {
        const retryAfterMs = shouldRetry(error, attemptNumber);
        if (retryAfterMs === false) return false;
        await pause(Math.min(retryAfterMs, MAX_RETRY_AFTER_MS), keepsProcessAlive, signal);
        return true;
      },
    });
  } catch (error) {
    // p-retry wraps a reason that is not an Error.
    signal?.throwIfAborted();
    throw error;
  }
}

function pause(delayMs: number, holdsProcess: boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    if (!holdsProcess) timer.unref();
    signal?.addEventListener('abort', end);
    if (delayMs <= 0 || signal?.aborted) end();
  });
}
