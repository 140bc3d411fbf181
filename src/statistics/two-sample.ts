import type { Arm } from '../model/shapes.js';
import { addCounts, BlockTally, NO_COUNTS } from './block-tally.js';
import type { BlockCounts, FailureRegressionRequest, TwoSampleTestState } from './evidence-state.js';
import { likelihoodRatios, logNoncentralHypergeometric } from './noncentral-hypergeometric.js';
import { MixtureTest } from './restart-mixture.js';

/** How much the treatment's odds of failing exceed the tolerated ones under the alternatives. */
export const ODDS_RATIOS = [1.5, 2.5, 5, 10, 20, 50, 200, 2000] as const;
/** Blocks over which restarts are evenly spread. */
const HORIZON = 5_000;
/** Outcomes of both arms together that complete a block. */
const MIN_BLOCK_TRIALS = 10;

/** What is tolerated. @default an alpha of 0.05, and a ratio of 1 */
export type TwoSampleTestOptions = Partial<Pick<FailureRegressionRequest, 'alpha' | 'ratio'>>;

/**
 * Test 2: does the treatment fail more than the control?
 *
 * Outcomes are grouped into blocks. Given how many outcomes of a block failed, the number of them in the treatment
 * follows Fisher's noncentral hypergeometric distribution, in which only the odds ratio is unknown: neither the failure
 * rate nor the traffic share is needed, and both may drift from block to block as long as both arms share the drift.
 * Likelihood ratios of the alternatives against the tolerated odds ratio are mixed by a restart mixture.
 *
 * A block closes once it has an outcome of each arm and 10 in all, or when {@link closeBlock} is called by a
 * clock. Both depend on how many outcomes there are and on time, **never on how they ended**; that is what keeps
 * the promise.
 *
 * Source of the distribution: Fisher (1935); McCullagh and Nelder, *Generalized Linear Models* (1989), section 7.3.
 */
export class TwoSampleTest extends MixtureTest {
  readonly #ratio: number;
  readonly #alternatives: Float64Array;
  readonly #scratch = new Float64Array(ODDS_RATIOS.length);
  readonly #pending = new BlockTally();
  readonly #closed = new BlockTally();

  constructor({ alpha = 0.05, ratio = 1 }: TwoSampleTestOptions = {}) {
    super(alpha, { alternatives: ODDS_RATIOS.length, horizon: HORIZON });
    this.#ratio = ratio;
    this.#alternatives = Float64Array.from(ODDS_RATIOS, (odds) => ratio * odds);
  }

  /** Everything observed so far, the open block included. */
  get totals(): BlockCounts {
    return addCounts(this.#closed, this.#pending);
  }

  /** Folds one outcome into the open block. @returns Whether that completed the block. */
  observe(arm: Arm, failed: boolean): boolean {
    this.#pending.count(arm, failed);
    return this.#closeIfComplete();
  }

  /**
   * Folds counts into the open block, for example what a fleet saw since the last tick: counts of several processes
   * simply add up, and the order within a block does not matter.
   * @returns Whether that completed the block.
   */
  observeCounts(counts: BlockCounts): boolean {
    this.#pending.add(counts);
    return this.#closeIfComplete();
  }

  /**
   * Closes the open block early if both arms are in it, so that slow traffic counts too. To be called by a clock,
   * never because of a result. A block of one arm stays open: it is no evidence.
   * @returns Whether a block was closed.
   */
  closeBlock(): boolean {
    const pending = this.#pending;
    if (pending.treatment.trials === 0 || pending.control.trials === 0) return false;
    this.#evaluate(pending);
    this.#closed.add(pending);
    pending.set(NO_COUNTS);
    return true;
  }

  /** The state as plain JSON. */
  toJSON(): TwoSampleTestState {
    return {
      mixture: this.mixture.toJSON(),
      pending: this.#pending.toJSON(),
      closed: this.#closed.toJSON(),
    };
  }

  /** Continues from a state of a test with the same options. @throws RangeError for an invalid state. */
  restore({ mixture, pending, closed }: TwoSampleTestState): void {
    this.mixture.restore(mixture);
    this.#pending.set(pending);
    this.#closed.set(closed);
  }

  #closeIfComplete(): boolean {
    const { treatment, control } = this.#pending;
    return treatment.trials + control.trials >= MIN_BLOCK_TRIALS && this.closeBlock();
  }

  #evaluate(block: BlockCounts): void {
    const { treatment, control } = block;
    const failures = treatment.failures + control.failures;
    // All or none failed: the treatment's share of the failures was certain beforehand.
    if (failures === 0 || failures === treatment.trials + control.trials) {
      this.mixture.idle();
      return;
    }
    if (likelihoodRatios(block, this.#ratio, this.#alternatives, this.#scratch)) {
      this.mixture.step(this.#scratch);
      return;
    }
    const logNull = logNoncentralHypergeometric(block, this.#ratio);
    for (let k = 0; k < this.#alternatives.length; k++) {
      this.#scratch[k] = logNoncentralHypergeometric(block, this.#alternatives[k]!) - logNull;
    }
    this.mixture.stepLog(this.#scratch);
  }
}
