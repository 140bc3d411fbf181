import type { OnsetState } from './evidence-state.js';

/**
 * When did each alternative's evidence begin to grow? Where its cumulated log likelihood ratio was lowest, as in Page's CUSUM
 * (1954): until then its evidence fell. Of several such moments, the last one.
 */
export class OnsetSearch {
  readonly #sums: Float64Array;
  readonly #lowest: Float64Array;
  /** The alternatives that are at their lowest now, as bits. */
  #atLowest: number;

  constructor(alternatives: number) {
    this.#sums = new Float64Array(alternatives);
    this.#lowest = new Float64Array(alternatives);
    this.#atLowest = 2 ** alternatives - 1;
  }

  /** The alternatives that are at their lowest now, as bits: for them, what comes next is the beginning. */
  get atLowest(): number {
    return this.#atLowest;
  }

  /** Adds the log likelihood ratios of one step. */
  add(logFactors: Float64Array): void {
    let atLowest = 0;
    for (let k = 0; k < this.#sums.length; k++) {
      const sum = this.#sums[k]! + logFactors[k]!;
      this.#sums[k] = sum;
      if (sum > this.#lowest[k]!) continue;
      this.#lowest[k] = sum;
      atLowest |= 1 << k;
    }
    this.#atLowest = atLowest;
  }

  toJSON(): OnsetState {
    return { sums: [...this.#sums], lowest: [...this.#lowest], atLowest: this.#atLowest };
  }

  /** @throws RangeError for a state of another number of alternatives. */
  restore({ sums, lowest, atLowest }: OnsetState): void {
    if (sums.length !== this.#sums.length || lowest.length !== this.#sums.length) {
      throw new RangeError('The state has another number of alternatives');
    }
    this.#sums.set(sums);
    this.#lowest.set(lowest);
    this.#atLowest = atLowest;
  }
}
