import { onAbort } from './abort.js';

/** Runs at most so many pieces of work at once; the others wait, in order. */
export class Limiter {
  readonly #max: number;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Runs `work` when it is its turn.
   *
   * @param signal - Ends the wait; what has begun ends by itself.
   * @throws what `work` throws, or the signal's reason.
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    // Whoever ends hands its place over.
    if (this.#running >= this.#max) await this.#turn(signal);
    else this.#running++;
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(begin);
        ignore?.();
      };
      const begin = () => {
        leave();
        resolve();
      };
      const ignore =
        signal &&
        onAbort(signal, () => {
          leave();
          reject(signal.reason);
        });
      this.#waiting.add(begin);
    });
  }
}
