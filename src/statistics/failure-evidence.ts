import type { Arm, Trials } from '../model/shapes.js';
import type {
  EpochEvidence,
  EvidenceCounts,
  FailureRateRequest,
  FailureRateState,
  FailureRegressionRequest,
  FailureRegressionState,
} from './evidence-state.js';
import { type EvidenceTest, type TestEvidence, testEvidence } from './evidence-test.js';
import { FrozenControlTest } from './frozen-control.js';
import { OneSampleTest } from './one-sample.js';
import { TwoSampleTest } from './two-sample.js';

/** The treatment against a limit, randomised or not. */
export class FailureRate implements EvidenceTest {
  readonly #request: FailureRateRequest;
  readonly #test: OneSampleTest;

  constructor(request: FailureRateRequest) {
    this.#request = request;
    this.#test = new OneSampleTest(request);
  }

  /** @throws RangeError for an invalid state. */
  static restored({ request, limit }: FailureRateState): FailureRate {
    const restored = new FailureRate(request);
    restored.#test.restore(limit);
    return restored;
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
  readonly #frozen: FrozenControlTest | undefined;
  /** Whether the frozen control's test has been fed, and so raises the threshold. */
  #usesFrozen = false;
  #peakLogE = 0;
  /** What is shown from a breach on, whatever outcomes follow. */
  #breach: FailureRegressionState['breach'];

  constructor(request: FailureRegressionRequest, control: Trials | undefined) {
    const { alpha, ratio } = request;
    this.#request = request;
    this.#comparison = new TwoSampleTest({ alpha, ratio });
    if (control !== undefined) this.#frozen = new FrozenControlTest({ control, alpha, ratio });
  }

  /** @throws RangeError for an invalid state. */
  static restored(state: FailureRegressionState, control: Trials | undefined): FailureRegression {
    const { request, comparison, frozen, peakLogE, breach } = state;
    const restored = new FailureRegression(request, frozen?.control ?? control);
    restored.#comparison.restore(comparison);
    if (frozen !== undefined) restored.#frozen?.restore(frozen);
    restored.#usesFrozen = (restored.#frozen?.treatment.trials ?? 0) > 0;
    restored.#peakLogE = peakLogE;
    restored.#breach = breach;
    return restored;
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
    const { control = NONE, maxFailureRate } = this.#frozen ?? {};
    return testEvidence(test, { treatment: fullRollout, control }, maxFailureRate);
  }

  toJSON(): FailureRegressionState {
    return {
      request: this.#request,
      comparison: this.#comparison.toJSON(),
      frozen: this.#frozen?.toJSON(),
      peakLogE: this.#peakLogE,
      breach: this.#breach,
    };
  }

  get #logE(): number {
    return this.#usesFrozen ? this.#comparison.logE + this.#frozen!.logE : this.#comparison.logE;
  }

  get #logThreshold(): number {
    return this.#usesFrozen ? this.#frozen!.logThreshold : this.#comparison.logThreshold;
  }

  #moved(frozen: boolean): void {
    // Without a usable control the test is silent and does not raise the threshold.
    if (frozen && this.#frozen!.maxFailureRate < 1) this.#usesFrozen = true;
    const logE = this.#logE;
    if (logE <= this.#peakLogE) return;
    this.#peakLogE = logE;
    if (this.#breach === undefined && logE >= this.#logThreshold) {
      this.#breach = { frozen, logThreshold: this.#logThreshold };
    }
  }
}

const NONE: Trials = { trials: 0, failures: 0 };
