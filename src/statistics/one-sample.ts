import type { Trials } from '../model/shapes.js';
import type { FailureRateRequest, OneSampleTestState } from './evidence-state.js';
import { MixtureTest } from './restart-mixture.js';

/** Where between p₀ and 1 the alternatives lie: from a slight excess to "everything fails". */
const DISTANCES = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.97] as const;
/** Observations over which restarts are evenly spread. */
const HORIZON = 20_000;

/**
 * Test 1: is the failure rate above p₀? Exact for independent outcomes, at any sample size.
 *
 * Alternatives `g_k = p₀ + (1 − p₀)·d_k`; a failure multiplies by `g_k/p₀`, a success by `(1 − g_k)/(1 − p₀)`, the
 * sequential probability ratio of Wald (1945), mixed by a restart mixture. For every true rate of at most p₀ the
 * expected factor is at most 1.
 */
export class OneSampleTest extends MixtureTest {
  readonly #onFailure: Float64Array;
  readonly #onSuccess: Float64Array;
  readonly #scratch = new Float64Array(DISTANCES.length);
  #trials = 0;
  #failures = 0;

  constructor({
    maxFailureRate: p0,
    alpha = 0.05,
  }: Pick<FailureRateRequest, 'maxFailureRate'> & { readonly alpha?: number }) {
    super(alpha, { alternatives: DISTANCES.length, horizon: HORIZON });
    this.#onFailure = Float64Array.from(DISTANCES, (d) => (p0 + (1 - p0) * d) / p0);
    // (1 − g)/(1 − p₀), with g written out: what remains is exactly 1 − d.
    this.#onSuccess = Float64Array.from(DISTANCES, (d) => 1 - d);
  }

  /** What was observed so far. */
  get totals(): Trials {
    return { trials: this.#trials, failures: this.#failures };
  }

  /** Folds one outcome in. */
  observe(failed: boolean): void {
    this.#trials++;
    if (failed) this.#failures++;
    this.mixture.step(failed ? this.#onFailure : this.#onSuccess);
  }

  /**
   * Folds in many outcomes whose order is not known, as one step that uses as many steps of the horizon. What several
   * processes saw between two ticks may simply be added up before.
   */
  observeCounts(counts: Trials): void {
    const { trials, failures } = counts;
    if (trials === 0) return;
    this.#trials += trials;
    this.#failures += failures;
    for (let k = 0; k < DISTANCES.length; k++) {
      this.#scratch[k] =
        failures * Math.log(this.#onFailure[k]!) + (trials - failures) * Math.log(this.#onSuccess[k]!);
    }
    this.mixture.stepLog(this.#scratch, trials);
  }

  /** The state as plain JSON. */
  toJSON(): OneSampleTestState {
    return { mixture: this.mixture.toJSON(), ...this.totals };
  }

  /** Continues from a state of a test with the same options. @throws RangeError for an invalid state. */
  restore(state: OneSampleTestState): void {
    this.mixture.restore(state.mixture);
    this.#trials = state.trials;
    this.#failures = state.failures;
  }
}
