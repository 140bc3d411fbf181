/** Runs tasks one after another, in the order in which they came. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `task` after all earlier ones have ended, however they ended. A task that is aborted while it waits never runs. */
  run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = this.#last.then(() => {
      signal.throwIfAborted();
      return task();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}
