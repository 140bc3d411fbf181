import { retry } from '../support/retry.js';
import { type AdminError, isAdminError } from './admin-error.js';

/** How long to wait between attempts. */
export interface Backoff {
  /** The longest first pause, in milliseconds; at least half of it, the rest by chance. It doubles from attempt to attempt. */
  readonly initialDelayMs: number;
  /** The longest pause, in milliseconds, unless Unleash asks for a longer one. */
  readonly maxDelayMs: number;
}

/** How patient one call is. */
export interface RequestOptions {
  /** Ends the waiting and the request; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How often a failed request is tried again; `Infinity` for as long as it takes. */
  readonly retries?: number | undefined;
  /** Told of every failure that will be tried again, before the pause. */
  readonly onRetry?: ((error: AdminError, attempt: number) => void) | undefined;
}

/**
 * Runs `attempt` until it succeeds, fails for a reason that waiting cannot mend, or patience ends.
 *
 * @throws what the last attempt threw, or the signal's reason.
 */
export function withRetries<T>(
  attempt: () => Promise<T>,
  backoff: Backoff,
  { retries = 0, signal, onRetry }: RequestOptions,
): Promise<T> {
  return retry(attempt, {
    ...backoff,
    retries,
    signal,
    shouldRetry: (error, number) => {
      if (!isAdminError(error) || !error.retryable) return false;
      notify(onRetry, error, number);
      return error.retryAfterMs ?? 0;
    },
  });
}

function notify(onRetry: RequestOptions['onRetry'], error: AdminError, attempt: number): void {
  try {
    onRetry?.(error, attempt);
  } catch {
    // A listener's fault must not end the retries that it listens to.
  }
}
