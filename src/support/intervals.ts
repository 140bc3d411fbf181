import { runCallback } from './async/callbacks.js';
import { inSlices } from './async/slices.js';

interface Interval {
  readonly callbacks: Set<() => void>;
  readonly timer: NodeJS.Timeout;
  isRunning: boolean;
}

/**
 * Calls many functions at regular intervals, with one timer for all that have the same interval. None keeps the process alive, none
 * can fail another, and however many there are, they do not block the event loop: after a few milliseconds the rest waits for its
 * next turn.
 */
export class Intervals {
  readonly #intervals = new Map<number, Interval>();

  /** How many timers run. */
  get timers(): number {
    return this.#intervals.size;
  }

  /**
   * Calls `run` every `everyMs` milliseconds; what it throws is dropped.
   *
   * @returns a function that ends it.
   */
  every(everyMs: number, run: () => unknown): () => void {
    const interval = this.#intervals.get(everyMs) ?? this.#begin(everyMs);
    // The same function may be given twice.
    const callback = () => runCallback('an interval', run, () => {});
    interval.callbacks.add(callback);
    return () => {
      interval.callbacks.delete(callback);
      if (interval.callbacks.size > 0 || this.#intervals.get(everyMs) !== interval) return;
      clearInterval(interval.timer);
      this.#intervals.delete(everyMs);
    };
  }

  /** Ends all that were begun so far. */
  endAll(): void {
    for (const { callbacks, timer } of this.#intervals.values()) {
      clearInterval(timer);
      callbacks.clear();
    }
    this.#intervals.clear();
  }

  #begin(everyMs: number): Interval {
    const interval: Interval = {
      callbacks: new Set(),
      timer: setInterval(() => run(interval), everyMs).unref(),
      isRunning: false,
    };
    this.#intervals.set(everyMs, interval);
    return interval;
  }
}

function run(interval: Interval): void {
  // What still waits for its turn is not called twice.
  if (interval.isRunning) return;
  if (interval.callbacks.size === 1) {
    for (const callback of interval.callbacks) callback();
    return;
  }
  interval.isRunning = true;
  // It may have been removed meanwhile.
  const call = (callback: () => void) => void (interval.callbacks.has(callback) && callback());
  inSlices([...interval.callbacks], call, () => {
    interval.isRunning = false;
  });
}
