import type { Arm } from '../model/shapes.js';
import { addCounts } from './block-tally.js';
import type {
  BlockCounts,
  EvidenceCounts,
  LatencyRegressionRequest,
  LatencyRegressionState,
  LatencyTestState,
} from './evidence-state.js';
import {
  type EvidenceSources,
  type EvidenceTest,
  type QuantileSource,
  type TestEvidence,
  testEvidence,
} from './evidence-test.js';
import { TwoSampleTest } from './two-sample.js';

/** Options of {@link LatencyTest}. */
export interface LatencyTestOptions {
  /** How many times the control's durations are still tolerated, for example 1.2. */
  readonly ratio: number;
  /** The chance of ever breaching while the treatment is no slower than tolerated. @default 0.05 */
  readonly alpha?: number | undefined;
}

/** The quantiles of the control at which both arms are compared. */
const LATENCY_QUANTILES = [0.5, 0.9, 0.99] as const;

/** Durations that the control must have before the first comparison. */
const MIN_CONTROL_COUNT = 20;
/** The thresholds are renewed once the control has this many times the durations that they rest on. */
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
  /** The tolerated ratio of durations. */
  readonly ratio: number;
  /** log(1/alpha): {@link logE} at which the test breaches. */
  readonly logThreshold: number;
  readonly #control: QuantileSource;
  readonly #tests: readonly TwoSampleTest[];
  readonly #thresholdsMs: Float64Array;
  /** The control's count when the thresholds were fixed; 0 before. */
  #fixedAtCount = 0;
  #peakLogE = 0;

  /** @param control - The control's durations of the epoch; read only between blocks. */
  constructor({ ratio, alpha = 0.05 }: LatencyTestOptions, control: QuantileSource) {
    this.ratio = ratio;
    this.logThreshold = -Math.log(alpha);
    this.#control = control;
    this.#tests = LATENCY_QUANTILES.map(() => new TwoSampleTest({ alpha }));
    this.#thresholdsMs = new Float64Array(LATENCY_QUANTILES.length);
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

  /** The control's quantiles in force, in milliseconds, in the order of {@link LATENCY_QUANTILES}; none before the first. */
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

  /** Folds one valid duration in, in milliseconds. Until the control has enough durations nothing is compared. */
  observe(arm: Arm, durationMs: number): void {
    if (this.#fixedAtCount === 0) {
      // This duration may be in the histogram already; counting it against itself would not be fair.
      this.#fixThresholds();
      return;
    }
    const scale = arm === 'treatment' ? this.ratio : 1;
    let closed = false;
    for (let i = 0; i < this.#tests.length; i++) {
      closed = this.#tests[i]!.observe(arm, durationMs > scale * this.#thresholdsMs[i]!);
    }
    if (closed) this.#afterBlock();
  }

  /**
   * Folds in what a fleet saw since the last tick: for each quantile, trials and how many of them were above its
   * threshold. When a duration is known only by its bucket, count for the treatment the buckets wholly above
   * `ratio` times the threshold, and for the control every bucket that reaches above the threshold.
   *
   * @param counts - One for each of {@link LATENCY_QUANTILES}.
   * @returns False, and nothing is folded in, while there are no thresholds; the call fixes them if the control suffices.
   */
  observeExceedances(counts: readonly BlockCounts[]): boolean {
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
    };
  }

  /** Continues from a state of a test with the same options. @throws RangeError for an invalid state. */
  restore(state: LatencyTestState): void {
    const count = this.#tests.length;
    if (state.tests.length !== count || state.thresholdsMs.length !== count) {
      throw new RangeError(`The state is not one of ${count} quantiles`);
    }
    for (const [i, test] of this.#tests.entries()) test.restore(state.tests[i]!);
    this.#thresholdsMs.set(state.thresholdsMs);
    this.#fixedAtCount = state.fixedAtCount;
    this.#peakLogE = state.peakLogE;
  }

  #afterBlock(): void {
    this.#peakLogE = Math.max(this.#peakLogE, this.logE);
    if (this.#control.count >= this.#fixedAtCount * REFRESH_GROWTH) this.#fixThresholds();
  }

  /** Only ever between two blocks, and only by how many durations the control has. */
  #fixThresholds(): void {
    const { count } = this.#control;
    if (count < MIN_CONTROL_COUNT) return;
    for (const [i, q] of LATENCY_QUANTILES.entries()) {
      const threshold = this.#control.quantile(q);
      if (threshold === undefined) return;
      this.#thresholdsMs[i] = threshold;
    }
    this.#fixedAtCount = count;
  }
}

/** A latency test, with the part of its exceedances that is not in a delta yet. */
export class LatencyRegression implements EvidenceTest {
  /** Equal for tests whose exceedances may be added up. */
  readonly key: string;
  readonly #request: LatencyRegressionRequest;
  readonly #test: LatencyTest;
  readonly #latency: EvidenceSources['latency'];
  #taken: readonly BlockCounts[] | undefined;

  constructor(request: LatencyRegressionRequest, { latency }: Pick<EvidenceSources, 'latency'>) {
    this.#request = request;
    this.#test = new LatencyTest(request, latency.control);
    this.#latency = latency;
    this.key = `${request.ratio} at ${LATENCY_QUANTILES.join(',')}`;
  }

  observe(arm: Arm, failed: boolean, randomised: boolean, durationMs: number | undefined): void {
    if (randomised && !failed && durationMs !== undefined) this.#test.observe(arm, durationMs);
  }

  merge({ latency }: EvidenceCounts): void {
    const counts = latency.find(([key]) => key === this.key)?.[1];
    if (counts?.length !== LATENCY_QUANTILES.length) return;
    const unsent = this.#unsent();
    this.#test.observeExceedances(counts);
    this.#taken = this.#test.exceedances.map((now, i) => addCounts(now, unsent[i]!, -1));
  }

  closeBlock(): void {
    this.#test.closeBlock();
  }

  /** What was counted here since the previous call, by quantile. */
  takeChanges(): readonly BlockCounts[] {
    const unsent = this.#unsent();
    this.#taken = this.#test.exceedances;
    return unsent;
  }

  snapshot(): TestEvidence {
    const { logEs, exceedances, thresholdsMs, ratio } = this.#test;
    const strongest = logEs.indexOf(Math.max(...logEs));
    const compared = thresholdsMs.map((controlMs, i) => ({
      quantile: LATENCY_QUANTILES[i]!,
      logE: logEs[i]!,
      controlMs,
      limitMs: ratio * controlMs,
      treatmentMs: this.#latency.treatment.quantile(LATENCY_QUANTILES[i]!),
      counts: exceedances[i]!,
    }));
    return testEvidence(this.#test, exceedances[strongest]!, undefined, compared);
  }

  toJSON(): LatencyRegressionState {
    return { request: this.#request, latency: this.#test.toJSON() };
  }

  restore({ latency }: LatencyRegressionState): void {
    this.#test.restore(latency);
    // The counts of an earlier run were in its deltas.
    this.#taken = this.#test.exceedances;
  }

  #unsent(): readonly BlockCounts[] {
    const taken = this.#taken;
    const { exceedances } = this.#test;
    return taken === undefined ? exceedances : exceedances.map((now, i) => addCounts(now, taken[i]!, -1));
  }
}
