import type { EvidenceShare, Outcome } from '../model/shapes.js';
import { isPlainSuccess } from './outcome-sample.js';

/** Multiples of the golden ratio are spread evenly over [0, 1), whatever the pattern of the lines. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const SECOND_MS = 1_000;

/**
 * What lines of a sampled log prove. The log has an outcome with the probability 1/weight, which is higher for failures and for the arm
 * with less traffic, so that what compares arms by single outcomes would see too many of those. Therefore a line of the weight w is
 * part of samples with the probability w/W, where W is the largest weight of these seconds: every outcome is then part of one with 1/W,
 * whichever its arm and result. Events are rarer and compared among themselves: their W is that of all that is no plain success.
 */
export class EvenSample {
  readonly #all = new LargestWeight();
  readonly #events = new LargestWeight();
  #lines = 0;

  /** What the next line of the log, as one outcome, is evidence of. */
  evidenceOf(outcome: Outcome, weight: number): EvidenceShare {
    const isPlain = isPlainSuccess(outcome);
    const ofAll = weight / this.#all.next(weight, outcome.at);
    const ofEvents = isPlain ? 0 : weight / this.#events.next(weight, outcome.at);
    if (ofAll >= 1) return 'all';
    this.#lines += 1;
    const drawn = (this.#lines * GOLDEN) % 1;
    if (drawn < ofAll) return 'all';
    return drawn < ofEvents ? 'events' : 'none';
  }
}

/** The largest weight of this second and the one before. */
class LargestWeight {
  #second = Number.NEGATIVE_INFINITY;
  #now = 1;
  #before = 1;

  next(weight: number, at: number): number {
    const second = Math.floor(at / SECOND_MS);
    if (second !== this.#second) {
      this.#before = second === this.#second + 1 ? this.#now : 1;
      this.#now = 1;
      this.#second = second;
    }
    this.#now = Math.max(this.#now, weight);
    return Math.max(this.#now, this.#before);
  }
}
