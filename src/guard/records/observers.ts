import type { GuardObserver } from '../../model/observer.js';
import type { Outcome } from '../../model/shapes.js';
import type { GuardRecords } from './guard-records.js';

/** The observers of one guard. None of them can fail or delay it: a fault is told once for each. */
export class Observers {
  readonly #observers: readonly GuardObserver[];
  readonly #records: Pick<GuardRecords, 'fault' | 'listen'>;

  constructor(options: {
    readonly flagKey: string;
    readonly observers: readonly GuardObserver[];
    readonly records: Pick<GuardRecords, 'fault' | 'listen'>;
  }) {
    const { flagKey, observers, records } = options;
    this.#observers = observers;
    this.#records = records;
    for (let index = 0; index < observers.length; index++) {
      const observer = observers[index]!;
      records.listen((event) => {
        try {
          this.#settle(index, observer.event?.(event, flagKey));
        } catch (error) {
          this.#fault(index, error);
        }
      });
    }
  }

  /** Shows them one outcome. */
  outcome(outcome: Outcome): void {
    for (let index = 0; index < this.#observers.length; index++) {
      try {
        this.#settle(index, this.#observers[index]!.outcome?.(outcome));
      } catch (error) {
        this.#fault(index, error);
      }
    }
  }

  /** An async function is an observer too, and a rejection that nobody handles would end the process. */
  #settle(index: number, answer: unknown): void {
    if (answer instanceof Promise) answer.catch((error) => this.#fault(index, error));
  }

  #fault(index: number, error: unknown): void {
    this.#records.fault(`observers[${index}]`, error);
  }
}
