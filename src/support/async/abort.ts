/** Who waits for each signal. One listener on the signal serves all: Node.js warns of a leak from the eleventh on. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` when `signal`, which has not aborted yet, aborts. It must not throw.
 *
 * @returns a function that removes the listener.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const listeners = waiting.get(signal) ?? listenTo(signal);
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>();
  waiting.set(signal, listeners);
  const abort = () => {
    waiting.delete(signal);
    for (const listener of listeners) listener();
  };
  signal.addEventListener('abort', abort, { once: true });
  return listeners;
}
