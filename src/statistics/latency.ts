import type { Arm } from '../model/shapes.js';
import { addCounts, NO_COUNTS } from './block-tally.js';
import type {
  BlockCounts,
  EvidenceCounts,
  LatencyRegressionRequest,
  LatencyRegressionState,
} from './evidence-state.js';
import { type EvidenceSources, type EvidenceTest, type TestEvidence, testEvidence } from './evidence-test.js';
import { TwoSampleTest } from './two-sample.js';

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
export class LatencyRegression implements EvidenceTest {
  /** Equal for tests whose exceedances may be added up. */
  readonly key: string;
  /** log(1/alpha): {@link logE} at which the test breaches. */
  readonly logThreshold: number;
  readonly #request: LatencyRegressionRequest;
  readonly #latency: EvidenceSources['latency'];
  readonly #tests: readonly TwoSampleTest[];
  readonly #thresholdsMs = new Float64Array(LATENCY_QUANTILES.length);
  /** The control's count when the thresholds were fixed; 0 before. */
  #fixedAtCount = 0;
  #peakLogE = 0;
  /** The exceedances that are in a delta, or came from elsewhere. */
  #taken: readonly BlockCounts[] = LATENCY_QUANTILES.map(() => NO_COUNTS);

  /** @param latency - The durations of the epoch; the control's are read only between blocks. */
  constructor(request: LatencyRegressionRequest, latency: EvidenceSources['latency']) {
    this.#request = request;
    this.#latency = latency;
    this.key = `${request.ratio} at ${LATENCY_QUANTILES.join(',')}`;
    this.logThreshold = -Math.log(request.alpha);
    this.#tests = LATENCY_QUANTILES.map(() => new TwoSampleTest({ alpha: request.alpha }));
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

  get peakLogE(): number {
    return this.#peakLogE;
  }

  get breached(): boolean {
    return this.#peakLogE >= this.logThreshold;
  }

  /** By quantile: what was compared so far, where a "failure" is a duration above the threshold. */
  get #exceedances(): readonly BlockCounts[] {
    return this.#tests.map(({ totals }) => totals);
  }

  /** Until the control has enough durations nothing is compared. */
  observe(arm: Arm, failed: boolean, randomised: boolean, durationMs: number | undefined): void {
    if (!randomised || failed || durationMs === undefined) return;
    if (this.#fixedAtCount === 0) {
      // This duration may be in the histogram already; counting it against itself would not be fair.
      this.#fixThresholds();
      return;
    }
    const scale = arm === 'treatment' ? this.#request.ratio : 1;
    let closed = false;
    for (let i = 0; i < this.#tests.length; i++) {
      closed = this.#tests[i]!.observe(arm, durationMs > scale * this.#thresholdsMs[i]!);
    }
    if (closed) this.#afterBlock();
  }

  /** Exceedances are dropped while there are no thresholds here. */
  merge({ latency }: EvidenceCounts): void {
    const counts = latency.find(([key]) => key === this.key)?.[1];
    if (counts?.length !== LATENCY_QUANTILES.length) return;
    if (this.#fixedAtCount === 0) {
      this.#fixThresholds();
      return;
    }
    let closed = false;
    for (const [i, test] of this.#tests.entries()) closed = test.observeCounts(counts[i]!);
    if (closed) this.#afterBlock();
    this.#taken = this.#taken.map((taken, i) => addCounts(taken, counts[i]!));
  }

  closeBlock(): void {
    let closed = false;
    for (const test of this.#tests) closed = test.closeBlock();
    if (closed) this.#afterBlock();
  }

  /** What was counted here since the previous call, by quantile. */
  takeChanges(): readonly BlockCounts[] {
    const counted = this.#exceedances;
    const changes = counted.map((now, i) => addCounts(now, this.#taken[i]!, -1));
    this.#taken = counted;
    return changes;
  }

  snapshot(): TestEvidence {
    const { ratio } = this.#request;
    const logEs = this.#tests.map(({ logE }) => logE);
    const exceedances = this.#exceedances;
    const strongest = logEs.indexOf(Math.max(...logEs));
    const compared = this.#fixedAtCount === 0 ? [] : LATENCY_QUANTILES;
    const quantiles = compared.map((quantile, i) => ({
      quantile,
      logE: logEs[i]!,
      controlMs: this.#thresholdsMs[i]!,
      limitMs: ratio * this.#thresholdsMs[i]!,
      treatmentMs: this.#latency.treatment.quantile(quantile),
      counts: exceedances[i]!,
    }));
    return testEvidence(this, exceedances[strongest]!, undefined, quantiles);
  }

  toJSON(): LatencyRegressionState {
    const latency = {
      tests: this.#tests.map((test) => test.toJSON()),
      thresholdsMs: [...this.#thresholdsMs],
      fixedAtCount: this.#fixedAtCount,
      peakLogE: this.#peakLogE,
    };
    return { request: this.#request, latency };
  }

  restore({ latency }: LatencyRegressionState): void {
    const count = this.#tests.length;
    if (latency.tests.length !== count || latency.thresholdsMs.length !== count) {
      throw new RangeError(`The state is not one of ${count} quantiles`);
    }
    for (const [i, test] of this.#tests.entries()) test.restore(latency.tests[i]!);
    this.#thresholdsMs.set(latency.thresholdsMs);
    this.#fixedAtCount = latency.fixedAtCount;
    this.#peakLogE = latency.peakLogE;
    // The counts of an earlier run were in its deltas.
    this.#taken = this.#exceedances;
  }

  #afterBlock(): void {
    this.#peakLogE = Math.max(this.#peakLogE, this.logE);
    if (this.#latency.control.count >= this.#fixedAtCount * REFRESH_GROWTH) this.#fixThresholds();
  }

  /** Only ever between two blocks, and only by how many durations the control has. */
  #fixThresholds(): void {
    const { control } = this.#latency;
    if (control.count < MIN_CONTROL_COUNT) return;
    for (const [i, q] of LATENCY_QUANTILES.entries()) {
      const threshold = control.quantile(q);
      if (threshold === undefined) return;
      this.#thresholdsMs[i] = threshold;
    }
    this.#fixedAtCount = control.count;
  }
}
