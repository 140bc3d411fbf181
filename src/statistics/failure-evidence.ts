import type { Arm, Trials } from '../model/shapes.js';
import { NO_TRIALS } from './block-tally.js';
import { rateUpperBound } from './confidence.js';
import type {
  EpochEvidence,
  EvidenceCounts,
  FailureRateRequest,
  FailureRateState,
  FailureRegressionRequest,
  FailureRegressionState,
} from './evidence-state.js';
import { type EvidenceTest, type TestEvidence, testEvidence } from './evidence-test.js';
import { OneSampleTest } from './one-sample.js';
import { TwoSampleTest, type TwoSampleTestOptions } from './two-sample.js';

/** The treatment against a limit, randomised or not. */
export class FailureRate implements EvidenceTest {
  readonly #request: FailureRateRequest;
  readonly #test: OneSampleTest;

  constructor(request: FailureRateRequest) {
    this.#request = request;
    this.#test = new OneSampleTest(request);
  }

  observe(arm: Arm, failed: boolean): void {
    if (arm === 'treatment') this.#test.observe(failed);
  }

  merge({ randomised: { treatment }, fullRollout }: EvidenceCounts): void {
    this.#test.observeCounts(treatment);
    this.#test.observeCounts(fullRollout);
  }

  closeBlock(): void {}

  snapshot({ randomised }: EpochEvidence): TestEvidence {
    return testEvidence(this.#test, { treatment: this.#test.totals, control: randomised.control });
  }

  toJSON(): FailureRateState {
    return { request: this.#request, limit: this.#test.toJSON() };
  }

  restore({ limit }: FailureRateState): void {
    this.#test.restore(limit);
  }
}

/** Options of {@link FrozenControlTest}. */
interface FrozenControlTestOptions extends TwoSampleTestOptions {
  /** The counts of the control while it still had traffic; frozen from now on. */
  readonly control: Trials;
}

/** The part of alpha that pays for not knowing the control's rate exactly; never more than half. */
const BOUND_ALPHA = 0.01;
/** Fixed beforehand: a tuning chosen by the size the control happened to reach would not be valid at any time. */
const BOUND_TRIALS = 1_000;

/**
 * Test 4, for a share at which no control remains: does the treatment fail more than the control **did**?
 *
 * A {@link OneSampleTest} at `p₀ = ratio × u`, where `u` bounds the control's failure rate from above with error
 * probability 0.01 (or half of `alpha`, if that is less); the test gets the rest of `alpha`. The bound is valid at any time,
 * so it does not matter whether the control was frozen at a lucky moment. Two limits that the message of a verdict states:
 * the baseline is assumed not to drift, and the true rate is somewhere below `u`, so a small control finds little.
 */
export class FrozenControlTest extends OneSampleTest {
  /** The frozen counts. */
  readonly control: Trials;
  /** p₀; 1 or more when the control was too small: the test then counts nothing. */
  readonly maxFailureRate: number;

  constructor({ control, ratio = 1, alpha = 0.05 }: FrozenControlTestOptions) {
    const boundAlpha = Math.min(BOUND_ALPHA, alpha / 2);
    const maxFailureRate = ratio * rateUpperBound(control, boundAlpha, BOUND_TRIALS);
    super({ maxFailureRate, alpha: alpha - boundAlpha });
    this.control = control;
    this.maxFailureRate = maxFailureRate;
  }

  override observe(failed: boolean): void {
    if (this.maxFailureRate < 1) super.observe(failed);
  }

  override observeCounts(counts: Trials): void {
    if (this.maxFailureRate < 1) super.observeCounts(counts);
  }
}

/**
 * The treatment against the control beside it and, at 100 %, against the control of an earlier epoch.
 *
 * An epoch is nearly always of one kind, but a few outcomes may stray into it from the other: a process that sees a change
 * late, a second strategy. Each outcome moves one of the two tests and leaves the other alone, so **their product** is an
 * e-process too: E of both together, for one `alpha`, and a test without data multiplies by 1. Strays can
 * neither hide evidence nor add a second chance of a false breach. The threshold rises to that of the frozen control's test,
 * which pays for not knowing the control's rate, with the first outcome that it is fed.
 */
export class FailureRegression implements EvidenceTest {
  readonly #request: FailureRegressionRequest;
  readonly #comparison: TwoSampleTest;
  #frozen: FrozenControlTest | undefined;
  /** Whether the frozen control's test has been fed, and so raises the threshold. */
  #usesFrozen = false;
  #peakLogE = 0;
  /** What is shown from a breach on, whatever outcomes follow. */
  #breach: FailureRegressionState['breach'];

  constructor(request: FailureRegressionRequest, control: Trials | undefined) {
    this.#request = request;
    this.#comparison = new TwoSampleTest(request);
    if (control !== undefined) this.#frozen = new FrozenControlTest({ ...request, control });
  }

  observe(arm: Arm, failed: boolean, randomised: boolean): void {
    if (randomised) {
      if (this.#comparison.observe(arm, failed)) this.#moved(false);
    } else if (this.#frozen !== undefined) {
      this.#frozen.observe(failed);
      this.#moved(true);
    }
  }

  merge({ randomised, fullRollout }: EvidenceCounts): void {
    if (this.#comparison.observeCounts(randomised)) this.#moved(false);
    if (this.#frozen === undefined || fullRollout.trials === 0) return;
    this.#frozen.observeCounts(fullRollout);
    this.#moved(true);
  }

  closeBlock(): void {
    if (this.#comparison.closeBlock()) this.#moved(false);
  }

  snapshot({ randomised, fullRollout }: EpochEvidence): TestEvidence {
    const test = {
      logE: this.#logE,
      peakLogE: this.#peakLogE,
      logThreshold: this.#breach?.logThreshold ?? this.#logThreshold,
      breached: this.#breach !== undefined,
    };
    const usesFrozen = this.#breach?.frozen ?? fullRollout.trials > randomised.treatment.trials;
    if (!usesFrozen) return testEvidence(test, randomised);
    // Without an earlier control, the outcomes at 100 % are compared with nothing.
    const { control = NO_TRIALS, maxFailureRate } = this.#frozen ?? {};
    return testEvidence(test, { treatment: fullRollout, control }, maxFailureRate);
  }

  toJSON(): FailureRegressionState {
    return {
      request: this.#request,
      comparison: this.#comparison.toJSON(),
      frozen: this.#frozen && { control: this.#frozen.control, test: this.#frozen.toJSON() },
      peakLogE: this.#peakLogE,
      breach: this.#breach,
    };
  }

  restore({ comparison, frozen, peakLogE, breach }: FailureRegressionState): void {
    this.#comparison.restore(comparison);
    if (frozen !== undefined) {
      this.#frozen = new FrozenControlTest({ ...this.#request, control: frozen.control });
      this.#frozen.restore(frozen.test);
      this.#usesFrozen = frozen.test.trials > 0;
    }
    this.#peakLogE = peakLogE;
    this.#breach = breach;
  }

  get #logE(): number {
    return this.#usesFrozen ? this.#comparison.logE + this.#frozen!.logE : this.#comparison.logE;
  }

  get #logThreshold(): number {
    return this.#usesFrozen ? this.#frozen!.logThreshold : this.#comparison.logThreshold;
  }

  #moved(frozen: boolean): void {
    // Without a usable control the test counts nothing and does not raise the threshold.
    if (frozen && this.#frozen!.maxFailureRate < 1) this.#usesFrozen = true;
    const logE = this.#logE;
    if (logE <= this.#peakLogE) return;
    this.#peakLogE = logE;
    if (this.#breach === undefined && logE >= this.#logThreshold) {
      this.#breach = { frozen, logThreshold: this.#logThreshold };
    }
  }
}
