import type { Outcome } from '../model/shapes.js';
import { MinHeap } from '../support/data/min-heap.js';

/** What happened next: the exposure that led to this outcome, or the outcome itself. */
export interface LoggedStep<T extends Outcome> {
  readonly type: 'exposure' | 'outcome';
  readonly outcome: T;
}

/** So many outcomes that were given back are dropped at once. */
const DROP_AT = 1_024;

/**
 * Gives back a log's outcomes, which were written as they ended, with each exposure at its own time before: the order in which the
 * guard saw them. Outcomes keep the log's order. It reads ahead as far as an outcome may end after its exposure, and no further: an
 * exposure that is older comes late.
 */
export class ExposureOrder<T extends Outcome> {
  readonly #horizonMs: number;
  readonly #exposures = new MinHeap<T>();
  readonly #outcomes: T[] = [];
  /** The first outcome that was not given back. */
  #next = 0;
  #latest = Number.NEGATIVE_INFINITY;

  /** @param horizonMs - The longest time from an exposure to its outcome. */
  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  /** Takes the next line. @returns what is complete by then: no later line can have been exposed before. */
  *add(outcome: T): Generator<LoggedStep<T>, void, void> {
    const { at, exposure } = outcome;
    // A clock that was set back, or a line with a wrong time: what waits is compared with no later line.
    if (at < this.#latest - this.#horizonMs) yield* this.rest();
    this.#latest = at;
    if (this.#next >= DROP_AT) {
      this.#outcomes.splice(0, this.#next);
      this.#next = 0;
    }
    this.#outcomes.push(outcome);
    this.#exposures.push(Math.min(exposure.at, at), outcome);
    yield* this.#upTo(at - this.#horizonMs);
  }

  /** What is left at the end of the log. */
  rest(): Generator<LoggedStep<T>, void, void> {
    return this.#upTo(Number.POSITIVE_INFINITY);
  }

  *#upTo(time: number): Generator<LoggedStep<T>, void, void> {
    while (this.#next < this.#outcomes.length) {
      const outcome = this.#outcomes[this.#next]!;
      // Each exposure is before its outcome, so that the first outcome's own has come by then.
      const isExposure = this.#exposures.lowest <= outcome.at;
      if ((isExposure ? this.#exposures.lowest : outcome.at) > time) return;
      if (isExposure) {
        yield { type: 'exposure', outcome: this.#exposures.pop()! };
      } else {
        this.#next += 1;
        yield { type: 'outcome', outcome };
      }
    }
  }
}
