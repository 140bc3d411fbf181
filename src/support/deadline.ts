import { onAbort } from './async/abort.js';
import type { OnFault } from './async/callbacks.js';
import { systemClock } from './clock.js';
import { runningTimeout } from './running-time.js';

/** Something took too long. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE';

  constructor(timeoutMs: number) {
    super(`timed out after ${timeoutMs} ms`);
  }
}

/**
 * Gives `work` a signal that is aborted after `timeoutMs`, or together with the caller's, and stops waiting for it then,
 * even if it ignores the signal. Only the time in which the process runs counts.
 *
 * @throws {@link DeadlineError}, the signal's reason, or what the work threw.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
  });
  const expire = () => controller.abort(new DeadlineError(timeoutMs));
  const stopTimer = runningTimeout(timeoutMs, systemClock, expire);
  const ignore = signal && onAbort(signal, () => controller.abort(signal.reason));
  try {
    return await Promise.race([work(controller.signal), ended]);
  } catch (error) {
    // Work that listens to the signal may fail with an error of its own.
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    stopTimer();
    ignore?.();
  }
}

/**
 * Waits for all of these, so long; what takes longer is left behind. Never rejects.
 *
 * @param onFault - Gets the name of what failed or took too long.
 */
export async function allWithin(
  timeoutMs: number,
  onFault: OnFault,
  parts: Readonly<Record<string, Promise<unknown> | undefined>>,
): Promise<void> {
  const ended = Object.entries(parts).map(([what, part]) =>
    withDeadline(timeoutMs, undefined, async () => part).catch((error: unknown) => onFault(what, error)),
  );
  await Promise.all(ended);
}
