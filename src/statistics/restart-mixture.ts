import type { RestartMixtureState } from './evidence-state.js';

/** How a {@link RestartMixture} spreads its stake over alternatives and over time. */
interface RestartMixtureOptions {
  /** How many alternatives are bet on. */
  readonly alternatives: number;
  /** Steps over which restarts are evenly spread, but for the tail. */
  readonly horizon: number;
  /**
   * The part of the restarts that is kept for after the horizon, where it is spent ever more slowly, so that harm that begins
   * late is still found: a fraction 0–1.
   */
  readonly tail: number;
}

/** The part of the stake that is bet at once; the rest restarts the test later. */
const INITIAL_WEIGHT = 0.5;
const RESERVE = 1 - INITIAL_WEIGHT;
/** Weights are kept within these bounds by moving the common scale, so that no evidence is too large for a double. */
const LARGEST = 1e100;
const SMALLEST = 1e-100;
/** Factors up to e^100 are applied as they are; larger ones move the scale. */
const LARGEST_LOG_FACTOR = 100;
/** More than sums of the same weights may differ by. */
const ROUNDING = 1e-6;

/**
 * An e-process: a mixture of likelihood ratios over several alternatives and over the time at which harm begins.
 * Under the null hypothesis its expected value never grows, so the chance that it **ever** reaches `1/alpha` is at most
 * `alpha` (Ville's inequality), however often it is evaluated.
 *
 * With stake `w₀/K` on each of K alternatives and the remainder `ρ(0) = 1 − w₀`, step *t* with factors `e_k` does
 * `W_k ← (W_k + (ρ(t−1) − ρ(t))/K) · e_k`, and `E = Σ W_k + ρ(t)`. Here
 * `ρ(t) = (1 − w₀)(1 − (1 − τ)·t/H)` up to the horizon H, and `(1 − w₀)·τ·H/t` after it, with the tail τ. New stake enters before each step, so
 * evidence that was lost during a long healthy time does not have to be won back first.
 *
 * Weights are stored beside a common logarithmic scale: `E` may be far beyond the range of a double. A step allocates nothing.
 *
 * Sources: Ville (1939); Ramdas, Grünwald, Vovk and Shafer, *Game-theoretic statistics and safe anytime-valid inference*
 * (2023); mixing over the change point as in Shin, Ramdas and Rinaldo, *E-detectors* (2024).
 */
export class RestartMixture {
  readonly #weights: Float64Array;
  readonly #horizon: number;
  readonly #tail: number;
  /** For each alternative, the likelihood ratio of all steps since it was lowest: 1 or more. */
  readonly #sinceLowest: Float64Array;
  #logScale = 0;
  /** exp(−logScale): a stake of 1 in units of the scale. */
  #unit = 1;
  #remaining = RESERVE;
  #steps = 0;
  /** E, and its peak, in units of the scale: logarithms are computed only for a new peak or on request. */
  #total = 1;
  #peak = 1;
  #peakLogE = 0;

  constructor({ alternatives, horizon, tail }: RestartMixtureOptions) {
    this.#horizon = horizon;
    this.#tail = tail;
    this.#weights = new Float64Array(alternatives).fill(INITIAL_WEIGHT / alternatives);
    this.#sinceLowest = new Float64Array(alternatives).fill(1);
  }

  /** The natural logarithm of the evidence E against the null hypothesis; 0 at the start. */
  get logE(): number {
    return this.#logScale + Math.log(this.#total);
  }

  /** The largest {@link logE} so far; a breach rests on it, and so lasts. */
  get peakLogE(): number {
    return this.#peakLogE;
  }

  /**
   * The alternatives whose likelihood ratio of all steps is at its lowest so far, as bits. Harm of that size most likely begins with the
   * step after: the change point of greatest likelihood (Page 1954). Stakes would not do, because restarts keep them up: their
   * lowest value is anywhere in a long healthy time.
   */
  get lowest(): number {
    let lowest = 0;
    for (let k = 0; k < this.#sinceLowest.length; k++) if (this.#sinceLowest[k] === 1) lowest |= 1 << k;
    return lowest;
  }

  /**
   * The alternative that most likely holds since its change point. Not the one with the largest stake: stakes of the start outweigh those of
   * later restarts a thousand times.
   */
  get strongest(): number {
    let strongest = 0;
    for (let k = 1; k < this.#sinceLowest.length; k++) {
      if (this.#sinceLowest[k]! > this.#sinceLowest[strongest]!) strongest = k;
    }
    return strongest;
  }

  /**
   * One step with likelihood ratios `e_k = factors[k]`.
   * @param factors - One number from 0 to 10²⁰⁰ for each alternative; larger ones go to {@link stepLog}.
   * @returns {@link lowest} after it.
   */
  step(factors: Float64Array): number {
    return this.#apply(factors, 0, 1);
  }

  /**
   * One step with likelihood ratios `e_k = exp(logFactors[k])`. Overwrites `logFactors`.
   * @param steps - How many steps of the horizon this uses; must not depend on the results.
   * @returns as {@link step}.
   */
  stepLog(logFactors: Float64Array, steps = 1): number {
    let largest = 0;
    for (let k = 0; k < logFactors.length; k++) largest = Math.max(largest, logFactors[k]!);
    const shift = largest > LARGEST_LOG_FACTOR ? largest : 0;
    for (let k = 0; k < logFactors.length; k++) logFactors[k] = Math.exp(logFactors[k]! - shift);
    return this.#apply(logFactors, shift, steps);
  }

  /** The state as plain JSON. */
  toJSON(): RestartMixtureState {
    return {
      weights: [...this.#weights],
      sinceLowest: [...this.#sinceLowest],
      logScale: this.#logScale,
      steps: this.#steps,
      peakLogE: this.#peakLogE,
      total: this.#total,
      // Where E has fallen below the range of a double, any number beyond its reach will do.
      peak: Math.min(this.#peak, Number.MAX_VALUE),
    };
  }

  /**
   * Continues from a state of {@link toJSON}, of a mixture with the same options.
   * @throws RangeError when the state is not one of such a mixture; this one is unusable then.
   */
  restore(state: RestartMixtureState): void {
    const { length } = this.#weights;
    if (state.weights.length !== length || state.sinceLowest.length !== length) {
      throw new RangeError('The state has another number of alternatives');
    }
    this.#weights.set(state.weights);
    this.#steps = state.steps;
    this.#remaining = this.#remainingAt(state.steps);
    this.#peakLogE = state.peakLogE;
    this.#setScale(state.logScale);
    this.#sinceLowest.set(state.sinceLowest);
    const total = this.#weights.reduce((sum, weight) => sum + weight, this.#remaining * this.#unit);
    if (!(Math.abs(state.total - total) <= ROUNDING * total)) {
      throw new RangeError('The total of the state is not the sum of its weights');
    }
    this.#total = state.total;
    this.#peak = state.peak;
  }

  /** Factors are given divided by e^shift. */
  #apply(factors: Float64Array, shift: number, steps: number): number {
    const weights = this.#weights;
    const sinceLowest = this.#sinceLowest;
    const released = this.#release(steps);
    let total = 0;
    let lowest = 0;
    for (let k = 0; k < weights.length; k++) {
      const factor = factors[k]!;
      const weight = (weights[k]! + released) * factor;
      weights[k] = weight;
      total += weight;
      const ratio = sinceLowest[k]! * (shift === 0 ? factor : Math.exp(Math.log(factor) + shift));
      if (ratio <= 1) {
        sinceLowest[k] = 1;
        lowest |= 1 << k;
      } else sinceLowest[k] = ratio < LARGEST ? ratio : LARGEST;
    }
    if (shift !== 0) this.#setScale(this.#logScale + shift);
    total += this.#remaining * this.#unit;
    if (total > LARGEST || (total < SMALLEST && total > 0)) {
      for (let k = 0; k < weights.length; k++) weights[k]! /= total;
      this.#setScale(this.#logScale + Math.log(total));
      total = 1;
    }
    this.#total = total;
    if (total > this.#peak) {
      this.#peak = total;
      this.#peakLogE = Math.max(this.#peakLogE, this.logE);
    }
    return lowest;
  }

  /** Moves on by `steps` and returns the stake that each alternative gets for it, in units of the scale. */
  #release(steps: number): number {
    const before = this.#remaining;
    this.#steps += steps;
    this.#remaining = this.#remainingAt(this.#steps);
    return ((before - this.#remaining) * this.#unit) / this.#weights.length;
  }

  /** ρ(t), from the number of steps alone, so that rounding never adds up. */
  #remainingAt(steps: number): number {
    const t = steps / this.#horizon;
    return t <= 1 ? RESERVE * (1 - (1 - this.#tail) * t) : (RESERVE * this.#tail) / t;
  }

  #setScale(logScale: number): void {
    this.#logScale = logScale;
    this.#unit = Math.exp(-logScale);
    this.#peak = Math.exp(this.#peakLogE - logScale);
  }
}
