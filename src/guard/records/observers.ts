import type { GuardEvent } from '../../model/event.js';
import type { GuardObserver } from '../../model/observer.js';
import type { Outcome } from '../../model/shapes.js';

/** The observers of one guard. None of them can fail or delay it, or another: what one throws is a fault. */
export class Observers {
  readonly #flagKey: string;
  readonly #observers: readonly GuardObserver[];
  readonly #onFault: (what: string, error: unknown) => void;

  constructor(
    flagKey: string,
    observers: readonly GuardObserver[],
    onFault: (what: string, error: unknown) => void,
  ) {
    this.#flagKey = flagKey;
    this.#observers = observers;
    this.#onFault = onFault;
  }

  /** Shows them one outcome. */
  outcome(outcome: Outcome): void {
    this.#each((observer) => observer.outcome?.(outcome));
  }

  /** Shows them one event. */
  event(event: GuardEvent): void {
    this.#each((observer) => observer.event?.(event, this.#flagKey));
  }

  #each(show: (observer: GuardObserver) => unknown): void {
    for (let index = 0; index < this.#observers.length; index++) {
      try {
        const result = show(this.#observers[index]!);
        // An async function is an observer too, and an unhandled rejection would end the process.
        if (result instanceof Promise) result.catch((error) => this.#fault(index, error));
      } catch (error) {
        this.#fault(index, error);
      }
    }
  }

  #fault(index: number, error: unknown): void {
    this.#onFault(`observers[${index}]`, error);
  }
}
