import type { Arm } from '../model/shapes.js';
import type { BlockCounts } from './block-tally.js';
import { checkAlpha, checkPositive, checkWhole, refuse } from './parameters.js';
import { TwoSampleTest, type TwoSampleTestState } from './two-sample.js';

/** Where quantiles of the control's durations come from; a latency histogram fits. */
export interface QuantileSource {
  /** How many durations it has seen. */
  readonly count: number;
  /** The `q`-quantile in milliseconds, `0 < q < 1`; undefined while there is none. */
  quantile(q: number): number | undefined;
}

/** What a {@link LatencyTest} is asked. */
export interface LatencyTestOptions {
  /** How many times the control's durations are still tolerated, for example 1.2. */
  readonly ratio: number;
  /** The chance of ever breaching while the treatment is no slower than tolerated. @default 0.05 */
  readonly alpha?: number | undefined;
  /** The quantiles of the control at which both arms are compared. @default [0.5, 0.9, 0.99] */
  readonly quantiles?: readonly number[] | undefined;
  /** Durations that the control must have before the first comparison. @default 20 */
  readonly minControlCount?: number | undefined;
  /** Blocks over which restarts are evenly spread. @default 5000 */
  readonly horizon?: number | undefined;
  /** The part of the restarts kept for after the horizon. @default 0.1 */
  readonly tail?: number | undefined;
}

/** A {@link LatencyTest} as plain JSON. */
export interface LatencyTestState {
  readonly tests: readonly TwoSampleTestState[];
  readonly thresholdsMs: readonly number[];
  readonly fixedAtCount: number;
  readonly peakLogE: number;
  readonly invalid: number;
}

/** The thresholds are taken anew once the control has this many times the durations that they were taken from. */
const REFRESH_GROWTH = 1.1;

/**
 * Test 3: is the treatment slower than `ratio` times the control?
 *
 * Before a block begins, `u` is fixed as a quantile of the control's durations so far. A duration above `ratio · u` in the
 * treatment, or above `u` in the control, counts as a failure of a {@link TwoSampleTest}. If the treatment is at most
 * `ratio` times as slow, its chance of that is at most the control's, **whatever `u` is**: an inexact histogram costs power,
 * never validity. The evidence for several quantiles is averaged (an average of e-processes is one), because the
 * median alone misses a slow tail.
 */
export class LatencyTest {
  /** The chance of a false breach. */
  readonly alpha: number;
  /** The tolerated ratio of durations. */
  readonly ratio: number;
  /** The compared quantiles. */
  readonly quantiles: readonly number[];
  /** log(1/alpha): {@link logE} at which the test breaches. */
  readonly logThreshold: number;
  readonly #control: QuantileSource;
  readonly #minControlCount: number;
  readonly #tests: readonly TwoSampleTest[];
  readonly #thresholdsMs: Float64Array;
  /** The control's count when the thresholds were fixed; 0 before. */
  #fixedAtCount = 0;
  #peakLogE = 0;
  #invalid = 0;

  /**
   * @param control - The control's durations of the epoch; read only between blocks.
   * @throws {@link ConfigError} when an option is out of its range.
   */
  constructor(options: LatencyTestOptions, control: QuantileSource) {
    const what = 'LatencyTest';
    this.ratio = checkPositive(what, 'ratio', options.ratio);
    this.alpha = checkAlpha(what, options.alpha ?? 0.05);
    this.quantiles = [...(options.quantiles ?? [0.5, 0.9, 0.99])];
    if (this.quantiles.length === 0 || !this.quantiles.every((q) => q > 0 && q < 1)) {
      refuse(
        what,
        'quantiles',
        'fractions above 0 and below 1, at least one',
        `[${this.quantiles.join(', ')}]`,
      );
    }
    this.logThreshold = -Math.log(this.alpha);
    this.#control = control;
    this.#minControlCount = checkWhole(what, 'minControlCount', options.minControlCount ?? 20, 1);
    const { horizon, tail } = options;
    this.#tests = this.quantiles.map(() => new TwoSampleTest({ alpha: this.alpha, horizon, tail }));
    this.#thresholdsMs = new Float64Array(this.quantiles.length);
  }

  /** log of the average of the quantiles' evidence. */
  get logE(): number {
    let largest = Number.NEGATIVE_INFINITY;
    for (const test of this.#tests) largest = Math.max(largest, test.logE);
    if (largest === Number.NEGATIVE_INFINITY) return largest;
    let sum = 0;
    for (const test of this.#tests) sum += Math.exp(test.logE - largest);
    return largest + Math.log(sum / this.#tests.length);
  }

  /** The largest log E so far. */
  get peakLogE(): number {
    return this.#peakLogE;
  }

  /** Whether E has ever reached 1/alpha. Stays true. */
  get breached(): boolean {
    return this.#peakLogE >= this.logThreshold;
  }

  /** Durations that were NaN, infinite or negative: counted, never folded in. */
  get invalid(): number {
    return this.#invalid;
  }

  /** The control's quantiles in force, in milliseconds, in the order of {@link quantiles}; none before the first. */
  get thresholdsMs(): readonly number[] {
    return this.#fixedAtCount === 0 ? [] : [...this.#thresholdsMs];
  }

  /** By quantile: log E now. */
  get logEs(): readonly number[] {
    return this.#tests.map(({ logE }) => logE);
  }

  /** By quantile: what was compared so far, where a "failure" is a duration above the threshold. */
  get exceedances(): readonly BlockCounts[] {
    return this.#tests.map(({ totals }) => totals);
  }

  /**
   * Folds one duration in, in milliseconds. Until the control has enough durations nothing is compared.
   * @returns False when the duration is not one (NaN, infinite, negative).
   */
  observe(arm: Arm, durationMs: number): boolean {
    if (!(durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY)) {
      this.#invalid++;
      return false;
    }
    if (this.#fixedAtCount === 0) {
      // This duration may be in the histogram already; counting it against itself would not be fair.
      this.#fixThresholds();
      return true;
    }
    const scale = arm === 'treatment' ? this.ratio : 1;
    let closed = false;
    for (let i = 0; i < this.#tests.length; i++) {
      closed = this.#tests[i]!.observe(arm, durationMs > scale * this.#thresholdsMs[i]!);
    }
    if (closed) this.#afterBlock();
    return true;
  }

  /**
   * Folds in what a fleet saw since the last tick: for each quantile, trials and how many of them were above its
   * threshold. When a duration is known only by its bucket, count for the treatment the buckets wholly above
   * `ratio` times the threshold, and for the control every bucket that reaches above the threshold.
   *
   * @returns False, and nothing is folded in, while there are no thresholds; asking fixes them if the control suffices.
   * @throws {@link ConfigError} for counts that cannot be.
   */
  observeExceedances(counts: readonly BlockCounts[]): boolean {
    const expected = this.#tests.length;
    if (counts.length !== expected) refuse('LatencyTest counts', '', `${expected} quantiles`, counts.length);
    if (this.#fixedAtCount === 0) {
      this.#fixThresholds();
      return false;
    }
    let closed = false;
    for (const [i, test] of this.#tests.entries()) closed = test.observeCounts(counts[i]!);
    if (closed) this.#afterBlock();
    return true;
  }

  /** Closes the open block early; see {@link TwoSampleTest.closeBlock}. @returns Whether a block was closed. */
  closeBlock(): boolean {
    let closed = false;
    for (const test of this.#tests) closed = test.closeBlock();
    if (closed) this.#afterBlock();
    return closed;
  }

  /** The state as plain JSON. */
  toJSON(): LatencyTestState {
    return {
      tests: this.#tests.map((test) => test.toJSON()),
      thresholdsMs: [...this.#thresholdsMs],
      fixedAtCount: this.#fixedAtCount,
      peakLogE: this.#peakLogE,
      invalid: this.#invalid,
    };
  }

  /** Continues from a state of a test with the same options. @throws {@link ConfigError} for a state that cannot be. */
  restore(state: LatencyTestState): void {
    const count = this.#tests.length;
    if (state.tests.length !== count || state.thresholdsMs.length !== count) {
      refuse('LatencyTest state', 'tests', `${count} quantiles`, state.tests.length);
    }
    for (const [i, test] of this.#tests.entries()) test.restore(state.tests[i]!);
    this.#thresholdsMs.set(state.thresholdsMs);
    this.#fixedAtCount = state.fixedAtCount;
    this.#peakLogE = state.peakLogE;
    this.#invalid = state.invalid;
  }

  #afterBlock(): void {
    this.#peakLogE = Math.max(this.#peakLogE, this.logE);
    if (this.#control.count >= this.#fixedAtCount * REFRESH_GROWTH) this.#fixThresholds();
  }

  /** Only ever between two blocks, and only by how many durations the control has. */
  #fixThresholds(): void {
    const { count } = this.#control;
    if (count < this.#minControlCount) return;
    for (const [i, q] of this.quantiles.entries()) {
      const threshold = this.#control.quantile(q);
      if (threshold === undefined) return;
      this.#thresholdsMs[i] = threshold;
    }
    this.#fixedAtCount = count;
  }
}
