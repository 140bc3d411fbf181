import type { Trials } from '../model/shapes.js';
import type { LimitTestState } from './evidence-state.js';
import { OnsetSearch } from './onset.js';
import { RestartMixture } from './restart-mixture.js';

/** Where between p₀ and 1 the alternatives lie: from a slight excess to "everything fails". */
const DISTANCES = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.97] as const;
/** Trials over which restarts are evenly spread. */
const HORIZON = 20_000;
const TAIL = 0.1;

/** Trials and failures since a moment. */
export interface TrialsSince {
  /** Undefined for "from the start". */
  readonly at: number | undefined;
  readonly counts: Trials;
}

/**
 * Is a failure rate above p₀? Exact for independent trials, at any number of them.
 *
 * Alternatives `g_k = p₀ + (1 − p₀)·d_k`; a failure multiplies by `g_k/p₀`, a success by `(1 − g_k)/(1 − p₀)`, the
 * sequential probability ratio of Wald (1945), mixed by a {@link RestartMixture}. For every true rate of at most p₀ the
 * expected factor is at most 1.
 */
export class LimitTest {
  readonly #mixture = new RestartMixture({ alternatives: DISTANCES.length, horizon: HORIZON, tail: TAIL });
  readonly #onFailure: Float64Array;
  readonly #onSuccess: Float64Array;
  readonly #logOnFailure: Float64Array;
  readonly #logOnSuccess: Float64Array;
  readonly #onset = new OnsetSearch(DISTANCES.length);
  readonly #scratch = new Float64Array(DISTANCES.length);
  /** For each alternative: time, trials and failures when its evidence was lowest. */
  readonly #lowestAt = new Float64Array(3 * DISTANCES.length);
  #trials = 0;
  #failures = 0;

  /** @param maxFailureRate - p₀, a fraction above 0 and below 1. */
  constructor(maxFailureRate: number) {
    const p0 = maxFailureRate;
    this.#onFailure = Float64Array.from(DISTANCES, (d) => (p0 + (1 - p0) * d) / p0);
    // (1 − g)/(1 − p₀), with g written out: what remains is exactly 1 − d.
    this.#onSuccess = Float64Array.from(DISTANCES, (d) => 1 - d);
    this.#logOnFailure = this.#onFailure.map(Math.log);
    this.#logOnSuccess = this.#onSuccess.map(Math.log);
  }

  /** The natural logarithm of the evidence now. */
  get logE(): number {
    return this.#mixture.logE;
  }

  /** The largest {@link logE} so far. */
  get peakLogE(): number {
    return this.#mixture.peakLogE;
  }

  /** What was observed so far. */
  get totals(): Trials {
    return { trials: this.#trials, failures: this.#failures };
  }

  /** What was observed since the excess most likely began: since the strongest alternative's evidence was lowest. */
  get sinceOnset(): TrialsSince {
    const first = 3 * this.#mixture.strongest;
    const trials = this.#lowestAt[first + 1]!;
    return {
      at: trials === 0 ? undefined : this.#lowestAt[first]!,
      counts: { trials: this.#trials - trials, failures: this.#failures - this.#lowestAt[first + 2]! },
    };
  }

  /** Folds one trial in. */
  observe(failed: boolean, at: number): void {
    this.#trials++;
    if (failed) this.#failures++;
    this.#mixture.step(failed ? this.#onFailure : this.#onSuccess);
    this.#onset.add(failed ? this.#logOnFailure : this.#logOnSuccess);
    this.#mark(at);
  }

  /**
   * Folds in many trials whose order is not known, as one step that uses as many steps of the horizon. What several
   * processes saw between two ticks may simply be added up before.
   */
  observeCounts({ trials, failures }: Trials, at: number): void {
    if (trials === 0) return;
    if (trials === 1) {
      this.observe(failures > 0, at);
      return;
    }
    this.#trials += trials;
    this.#failures += failures;
    for (let k = 0; k < DISTANCES.length; k++) {
      this.#scratch[k] = failures * this.#logOnFailure[k]! + (trials - failures) * this.#logOnSuccess[k]!;
    }
    this.#onset.add(this.#scratch);
    this.#mixture.stepLog(this.#scratch, trials);
    this.#mark(at);
  }

  /** The state as plain JSON. */
  toJSON(): LimitTestState {
    return {
      mixture: this.#mixture.toJSON(),
      ...this.totals,
      onset: this.#onset.toJSON(),
      lowestAt: [...this.#lowestAt],
    };
  }

  /** Continues from a state of a test with the same limit. @throws RangeError for an invalid state. */
  restore({ mixture, trials, failures, onset, lowestAt }: LimitTestState): void {
    if (lowestAt.length !== this.#lowestAt.length) throw new RangeError('The state has other alternatives');
    this.#mixture.restore(mixture);
    this.#trials = trials;
    this.#failures = failures;
    this.#onset.restore(onset);
    this.#lowestAt.set(lowestAt);
  }

  /** Remembers where the alternatives stand that are at their lowest. */
  #mark(at: number): void {
    const lowest = this.#onset.atLowest;
    if (lowest === 0) return;
    for (let k = 0; k < DISTANCES.length; k++) {
      if (!(lowest & (1 << k))) continue;
      this.#lowestAt[3 * k] = at;
      this.#lowestAt[3 * k + 1] = this.#trials;
      this.#lowestAt[3 * k + 2] = this.#failures;
    }
  }
}
