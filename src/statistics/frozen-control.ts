import type { Trials } from '../model/shapes.js';
import { rateUpperBound } from './confidence.js';
import type { FrozenControlTestState } from './evidence-state.js';
import { OneSampleTest } from './one-sample.js';

/** Options of {@link FrozenControlTest}. */
export interface FrozenControlTestOptions {
  /** The counts of the control while it still had traffic; frozen from now on. */
  readonly control: Trials;
  /** The ratio of failure rates, treatment to control, that is still tolerated. @default 1 */
  readonly ratio?: number | undefined;
  /** The chance of ever breaching while the treatment fails no more than tolerated. @default 0.05 */
  readonly alpha?: number | undefined;
}

/** The part of alpha that pays for not knowing the control's rate exactly; never more than half. */
const BOUND_ALPHA = 0.01;
/** Fixed beforehand: a tuning chosen by the size the control happened to reach would not be valid at any time. */
const BOUND_TRIALS = 1_000;

/**
 * Test 4, for a share at which no control remains: does the treatment fail more than the control **did**?
 *
 * An {@link OneSampleTest} at `p₀ = ratio × u`, where `u` bounds the control's failure rate from above with error
 * probability 0.01 (or half of `alpha`, if that is less); the test gets the rest of `alpha`. The bound is valid at any time,
 * so it does not matter whether the control was frozen at a lucky moment. Two limits that the message of a verdict states:
 * the baseline is assumed not to drift, and the true rate is somewhere below `u`, so a small control finds little.
 */
export class FrozenControlTest {
  /** The chance of a false breach, the bound's error included. */
  readonly alpha: number;
  /** The frozen counts. */
  readonly control: Trials;
  /** The upper confidence bound of the control's failure rate. */
  readonly controlUpperBound: number;
  /** p₀; 1 or more when the control was too small: the test is silent then. */
  readonly maxFailureRate: number;
  /** {@link logE} at which the test breaches. */
  readonly logThreshold: number;
  readonly #test: OneSampleTest | undefined;

  constructor(options: FrozenControlTestOptions) {
    this.alpha = options.alpha ?? 0.05;
    const ratio = options.ratio ?? 1;
    const boundAlpha = Math.min(BOUND_ALPHA, this.alpha / 2);
    const testAlpha = this.alpha - boundAlpha;
    this.control = { trials: options.control.trials, failures: options.control.failures };
    this.controlUpperBound = rateUpperBound(this.control, boundAlpha, BOUND_TRIALS);
    this.maxFailureRate = ratio * this.controlUpperBound;
    this.logThreshold = -Math.log(testAlpha);
    if (this.maxFailureRate < 1) {
      this.#test = new OneSampleTest({ maxFailureRate: this.maxFailureRate, alpha: testAlpha });
    }
  }

  /** log E now. */
  get logE(): number {
    return this.#test?.logE ?? 0;
  }

  /** Whether E has ever reached its threshold. Stays true. */
  get breached(): boolean {
    return this.#test?.breached ?? false;
  }

  /** What was observed of the treatment since the control was frozen. */
  get treatment(): Trials {
    return this.#test?.totals ?? { trials: 0, failures: 0 };
  }

  /** Folds one outcome of the treatment in. */
  observe(failed: boolean): void {
    this.#test?.observe(failed);
  }

  /** Folds in many outcomes of the treatment as one step. */
  observeCounts(counts: Trials): void {
    this.#test?.observeCounts(counts);
  }

  /** The state as plain JSON. */
  toJSON(): FrozenControlTestState {
    return { control: this.control, test: this.#test?.toJSON() };
  }

  /**
   * Continues from a state of a test with the same options, the control's counts included.
   * @throws RangeError for an invalid state.
   */
  restore(state: FrozenControlTestState): void {
    if (state.test !== undefined) this.#test?.restore(state.test);
  }
}
