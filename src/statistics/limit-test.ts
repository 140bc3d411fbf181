import type { Trials } from '../model/shapes.js';
import type { Evidence } from '../model/snapshot.js';
import type { LimitState, LimitTestState } from './evidence-state.js';
import { RestartMixture } from './restart-mixture.js';

/** Where between p₀ and 1 the alternatives lie: from a slight excess to "everything fails". */
const DISTANCES = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.97] as const;
/** Trials over which restarts are evenly spread, unless the owner knows better. */
const HORIZON = 20_000;
const TAIL = 0.1;

const NO_TRIALS: Trials = { trials: 0, failures: 0 };

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
  readonly #mixture: RestartMixture;
  readonly #onFailure: Float64Array;
  readonly #onSuccess: Float64Array;
  readonly #scratch = new Float64Array(DISTANCES.length);
  /** For each alternative: the time of the first failure since its likelihood ratio was lowest, and trials and failures before it. */
  readonly #onsets = new Float64Array(3 * DISTANCES.length);
  /** The alternatives whose likelihood ratio is lowest now, as bits. */
  #lowest: number;
  #trials = 0;
  #failures = 0;

  /**
   * @param maxFailureRate - p₀, a fraction above 0 and below 1.
   * @param horizon - Trials over which restarts are evenly spread.
   */
  constructor(maxFailureRate: number, horizon = HORIZON) {
    const p0 = maxFailureRate;
    this.#mixture = new RestartMixture({ alternatives: DISTANCES.length, horizon, tail: TAIL });
    this.#lowest = this.#mixture.lowest;
    this.#onFailure = Float64Array.from(DISTANCES, (d) => (p0 + (1 - p0) * d) / p0);
    // (1 − g)/(1 − p₀), with g written out: what remains is exactly 1 − d.
    this.#onSuccess = Float64Array.from(DISTANCES, (d) => 1 - d);
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

  /**
   * What was observed since the excess most likely began: with the first failure since the strongest alternative's likelihood ratio was
   * lowest. From the start while nothing speaks for an excess.
   */
  get sinceOnset(): TrialsSince {
    const { strongest } = this.#mixture;
    if (this.#lowest & (1 << strongest)) return { at: undefined, counts: this.totals };
    const [at, trials, failures] = this.#onsets.subarray(3 * strongest, 3 * strongest + 3);
    return { at, counts: { trials: this.#trials - trials!, failures: this.#failures - failures! } };
  }

  /** Folds one trial in. */
  observe(failed: boolean, at: number): void {
    this.#mark(this.#mixture.step(failed ? this.#onFailure : this.#onSuccess), at);
    this.#trials++;
    if (failed) this.#failures++;
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
    for (let k = 0; k < DISTANCES.length; k++) {
      this.#scratch[k] =
        failures * Math.log(this.#onFailure[k]!) + (trials - failures) * Math.log(this.#onSuccess[k]!);
    }
    this.#mark(this.#mixture.stepLog(this.#scratch, trials), at);
    this.#trials += trials;
    this.#failures += failures;
  }

  /** The state as plain JSON. */
  toJSON(): LimitTestState {
    return { mixture: this.#mixture.toJSON(), ...this.totals, onsets: [...this.#onsets] };
  }

  /** Continues from a state of a test with the same limit. @throws RangeError for an invalid state. */
  restore({ mixture, trials, failures, onsets }: LimitTestState): void {
    if (onsets.length !== this.#onsets.length) throw new RangeError('The state has other alternatives');
    this.#mixture.restore(mixture);
    this.#trials = trials;
    this.#failures = failures;
    this.#lowest = this.#mixture.lowest;
    this.#onsets.set(onsets);
  }

  /** @param lowest - The alternatives whose likelihood ratio is lowest now, as bits. */
  #mark(lowest: number, at: number): void {
    const risen = this.#lowest & ~lowest;
    this.#lowest = lowest;
    if (risen === 0) return;
    for (let k = 0; k < DISTANCES.length; k++) {
      if (!(risen & (1 << k))) continue;
      this.#onsets[3 * k] = at;
      this.#onsets[3 * k + 1] = this.#trials;
      this.#onsets[3 * k + 2] = this.#failures;
    }
  }
}

/** A limit, by units, each of which speaks until its first failure, and by outcomes. */
export class LimitEvidence {
  readonly units: LimitTest;
  readonly outcomes: LimitTest;

  constructor(maxFailureRate: number) {
    this.units = new LimitTest(maxFailureRate);
    this.outcomes = new LimitTest(maxFailureRate);
  }

  evidence(alpha: number): Omit<Evidence, 'trigger' | 'excluded' | 'invalid'> {
    const { logE, peakLogE, totals, sinceOnset } = this.units;
    const logThreshold = -Math.log(alpha);
    return {
      logE,
      peakLogE,
      logThreshold,
      breached: logE >= logThreshold,
      counts: { treatment: totals, control: NO_TRIALS },
      since: { at: sinceOnset.at, counts: { treatment: sinceOnset.counts, control: NO_TRIALS } },
      byOutcomes: {
        logE: this.outcomes.logE,
        breached: this.outcomes.logE >= logThreshold,
        since: {
          at: this.outcomes.sinceOnset.at,
          counts: { treatment: this.outcomes.sinceOnset.counts, control: NO_TRIALS },
        },
      },
      events: totals.failures,
      generation: 1,
      repeated: 0,
    };
  }

  toJSON(): LimitState {
    return { units: this.units.toJSON(), outcomes: this.outcomes.toJSON() };
  }

  restore({ units, outcomes }: LimitState): void {
    this.units.restore(units);
    this.outcomes.restore(outcomes);
  }
}
