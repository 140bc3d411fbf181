import { rateUpperBound } from './confidence.js';
import { OneSampleTest, type OneSampleTestState } from './one-sample.js';
import { checkAlpha, checkPositive, type Trials } from './parameters.js';

/** What a {@link FrozenControlTest} is asked. */
export interface FrozenControlTestOptions {
  /** What the control did while it still had traffic; frozen from now on. */
  readonly control: Trials;
  /** The ratio of failure rates, treatment to control, that is still tolerated. @default 1 */
  readonly ratio?: number | undefined;
  /** The chance of ever breaching while the treatment fails no more than tolerated. @default 0.05 */
  readonly alpha?: number | undefined;
  /** Observations over which restarts are evenly spread. @default 20000 */
  readonly horizon?: number | undefined;
  /** The part of the restarts kept for after the horizon. @default 0.1 */
  readonly tail?: number | undefined;
}

/** A {@link FrozenControlTest} as plain JSON; the frozen counts travel with it. */
export interface FrozenControlTestState {
  readonly control: Trials;
  /** Undefined when the control was too small to say anything. */
  readonly test?: OneSampleTestState | undefined;
}

/** The part of alpha that pays for not knowing the control's rate exactly; never more than half. */
const BOUND_ALPHA = 0.01;
/** Fixed beforehand: a tuning chosen by the size the control happened to reach would not hold at any time. */
const BOUND_TRIALS = 1_000;

/**
 * Test 4, for a share at which no control remains: does the treatment fail more than the control **did**?
 *
 * An {@link OneSampleTest} at `p₀ = ratio × u`, where `u` bounds the control's failure rate from above with error
 * probability 0.01 (or half of `alpha`, if that is less); the test gets the rest of `alpha`. The bound holds at any time,
 * so it does not matter that the control was frozen when it looked good. Two things to tell a reader of the verdict:
 * the baseline is assumed not to drift, and the true rate hides below `u`, so a small control finds little.
 */
export class FrozenControlTest {
  /** The chance of a false breach, the bound's error included. */
  readonly alpha: number;
  /** The frozen counts. */
  readonly control: Trials;
  /** The upper confidence bound of the control's failure rate. */
  readonly controlUpperBound: number;
  /** p₀; 1 or more when the control was too small to say anything: the test is silent then. */
  readonly maxFailureRate: number;
  /** {@link logE} at which the test breaches. */
  readonly logThreshold: number;
  readonly #test: OneSampleTest | undefined;

  /** @throws {@link ConfigError} when an option is out of its range. */
  constructor(options: FrozenControlTestOptions) {
    const what = 'FrozenControlTest';
    this.alpha = checkAlpha(what, options.alpha ?? 0.05);
    const ratio = checkPositive(what, 'ratio', options.ratio ?? 1);
    const boundAlpha = Math.min(BOUND_ALPHA, this.alpha / 2);
    const testAlpha = this.alpha - boundAlpha;
    this.control = { trials: options.control.trials, failures: options.control.failures };
    this.controlUpperBound = rateUpperBound(this.control, boundAlpha, { optimalTrials: BOUND_TRIALS });
    this.maxFailureRate = ratio * this.controlUpperBound;
    this.logThreshold = -Math.log(testAlpha);
    if (this.maxFailureRate < 1) {
      const { horizon, tail } = options;
      this.#test = new OneSampleTest({
        maxFailureRate: this.maxFailureRate,
        alpha: testAlpha,
        horizon,
        tail,
      });
    }
  }

  /** log E now. */
  get logE(): number {
    return this.#test?.logE ?? 0;
  }

  /** The largest log E so far. */
  get peakLogE(): number {
    return this.#test?.peakLogE ?? 0;
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

  /** Folds in many outcomes of the treatment as one step. @throws {@link ConfigError} for counts that cannot be. */
  observeCounts(counts: Trials): void {
    this.#test?.observeCounts(counts);
  }

  /** The state as plain JSON. */
  toJSON(): FrozenControlTestState {
    return { control: this.control, test: this.#test?.toJSON() };
  }

  /**
   * Continues from a state of a test with the same options, the control's counts included.
   * @throws {@link ConfigError} for a state that cannot be.
   */
  restore(state: FrozenControlTestState): void {
    if (state.test !== undefined) this.#test?.restore(state.test);
  }
}
