/** Learns what went wrong in a function of the user. Must not throw. */
export type OnFault = (what: string, error: unknown) => void;

/**
 * Runs a function of the user whose answer nobody needs: what it throws, and what its promise rejects with, becomes a fault.
 * Nothing waits for the promise.
 *
 * @param what - The function's name in faults.
 */
export function runCallback(what: string, run: () => unknown, onFault: OnFault): void {
  try {
    const answer = run();
    if (isThenable(answer)) Promise.resolve(answer).catch((error) => onFault(what, error));
  } catch (error) {
    onFault(what, error);
  }
}

/**
 * Runs a function of the user whose answer is needed at once. If it throws or returns a promise, that is a fault, and
 * `otherwise` is the answer.
 *
 * @param what - The function's name in faults.
 */
export function answerOf<T>(what: string, run: () => T, otherwise: T, onFault: OnFault): T {
  try {
    return atOnce(run());
  } catch (error) {
    onFault(what, error);
    return otherwise;
  }
}

/**
 * The answer of a function of the user that must not be a promise; what such a promise rejects with is dropped.
 *
 * @throws TypeError for a promise.
 */
export function atOnce<T>(answer: T): T {
  if (!isThenable(answer)) return answer;
  Promise.resolve(answer).catch(() => {});
  throw new TypeError('it returned a promise, and its answer is needed at once: it must not be async');
}

/** The message of whatever was thrown: an error, nothing, or an object that cannot even be shown. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return (
    ((typeof answer === 'object' && answer !== null) || typeof answer === 'function') &&
    typeof (answer as { then?: unknown }).then === 'function'
  );
}
