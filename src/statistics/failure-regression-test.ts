import type { Arm } from '../model/shapes.js';
import type { FailureRegressionRequest } from './evidence-request.js';
import {
  type EpochEvidence,
  type EvidenceCounts,
  type EvidenceTest,
  type FailureRegressionState,
  found,
  type TestEvidence,
} from './evidence-test.js';
import { FrozenControlTest } from './frozen-control.js';
import type { Trials } from './parameters.js';
import { TwoSampleTest } from './two-sample.js';

/**
 * The treatment against the control beside it and, where everyone has the treatment, against the control that was.
 *
 * An epoch is nearly always of one kind, but a few outcomes may stray into it from the other: a process that sees a change
 * late, a second strategy. Each outcome moves one of the two tests and leaves the other alone, so **their product** is an
 * e-process too: E of both together, for one `alpha`, and whichever test has nothing to say multiplies by 1. Strays can
 * neither hide evidence nor add a second chance of a false breach. The threshold rises to that of the frozen control's test,
 * which pays for not knowing the control's rate, with the first outcome that it is fed.
 */
export class FailureRegression implements EvidenceTest {
  readonly #request: FailureRegressionRequest;
  readonly #comparison: TwoSampleTest;
  readonly #frozen: FrozenControlTest | undefined;
  /** Whether the frozen control's test has been fed. */
  #frozenSpeaks = false;
  #peakLogE = 0;
  /** What is shown from a breach on: later outcomes must not make it look like something else. */
  #breach: FailureRegressionState['breach'];

  /** @throws {@link ConfigError} when the request has a parameter that cannot be. */
  constructor(request: FailureRegressionRequest, control: Trials | undefined) {
    const { alpha, ratio } = request;
    this.#request = request;
    this.#comparison = new TwoSampleTest({ alpha, ratio });
    if (control !== undefined) this.#frozen = new FrozenControlTest({ control, alpha, ratio });
  }

  /** @throws {@link ConfigError} for a state that cannot be. */
  static restored(state: FailureRegressionState, control: Trials | undefined): FailureRegression {
    const { request, comparison, frozen, peakLogE, breach } = state;
    const restored = new FailureRegression(request, frozen?.control ?? control);
    restored.#comparison.restore(comparison);
    if (frozen !== undefined) restored.#frozen?.restore(frozen);
    restored.#frozenSpeaks = (restored.#frozen?.treatment.trials ?? 0) > 0;
    restored.#peakLogE = peakLogE;
    restored.#breach = breach;
    return restored;
  }

  observe(arm: Arm, failed: boolean, split: boolean): void {
    if (split) {
      if (this.#comparison.observe(arm, failed)) this.#moved(false);
    } else if (this.#frozen !== undefined) {
      this.#frozen.observe(failed);
      this.#moved(true);
    }
  }

  merge({ split, everyone }: EvidenceCounts): void {
    if (this.#comparison.observeCounts(split)) this.#moved(false);
    if (this.#frozen === undefined || everyone.trials === 0) return;
    this.#frozen.observeCounts(everyone);
    this.#moved(true);
  }

  closeBlock(): void {
    if (this.#comparison.closeBlock()) this.#moved(false);
  }

  snapshot({ split, everyone }: EpochEvidence): TestEvidence {
    const test = {
      logE: this.#logE,
      peakLogE: this.#peakLogE,
      logThreshold: this.#breach?.logThreshold ?? this.#logThreshold,
      breached: this.#breach !== undefined,
    };
    if (!(this.#breach?.frozen ?? everyone.trials > split.treatment.trials)) return found(test, split);
    // Without a control that was, nothing is compared with those who all have the treatment.
    const { control = NONE, maxFailureRate } = this.#frozen ?? {};
    return found(test, { treatment: everyone, control }, maxFailureRate);
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
    return this.#frozenSpeaks ? this.#comparison.logE + this.#frozen!.logE : this.#comparison.logE;
  }

  get #logThreshold(): number {
    return this.#frozenSpeaks ? this.#frozen!.logThreshold : this.#comparison.logThreshold;
  }

  #moved(frozen: boolean): void {
    // One that is silent, for want of a control to speak of, asks no price either.
    if (frozen && this.#frozen!.maxFailureRate < 1) this.#frozenSpeaks = true;
    const logE = this.#logE;
    if (logE <= this.#peakLogE) return;
    this.#peakLogE = logE;
    if (this.#breach === undefined && logE >= this.#logThreshold) {
      this.#breach = { frozen, logThreshold: this.#logThreshold };
    }
  }
}

const NONE: Trials = { trials: 0, failures: 0 };
