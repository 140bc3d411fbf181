import type { Trials } from '../model/shapes.js';
import type { FrozenControl } from '../model/snapshot.js';
import { rateUpperBound } from './confidence.js';
import type { FrozenReference, LimitTestState } from './evidence-state.js';
import { LimitTest } from './limit-test.js';

/** The part of alpha that pays for not knowing the control's rate exactly. */
const BOUND_PART = 0.5;
/** Fixed beforehand: a tuning chosen by the size the control happened to reach would not be valid at any time. */
const BOUND_TRIALS = 1_000;
/** The last stage of a rollout has fewer trials than a whole one. */
const HORIZON = 5_000;

/**
 * For a share at which no control remains: does it happen to the treatment more often than it **did** to the control?
 *
 * A {@link LimitTest} at `p₀ = ratio × u`, where `u` bounds the control's rate from above. Half of `alpha` pays for the bound, which is
 * valid at any time, so that it does not matter whether the control was frozen at a lucky moment. Two limits that a verdict states:
 * the baseline is assumed not to drift, and the true rate is somewhere below `u`, so a small control finds little.
 */
export class FrozenControlTest {
  readonly control: FrozenControl;
  /** log(1/alpha), of the part of alpha that is the test's. */
  readonly logThreshold: number;
  /** Undefined when the control was too small to test anything. */
  readonly #test: LimitTest | undefined;

  constructor(
    readonly reference: FrozenReference,
    ratio: number,
    alpha: number,
  ) {
    const { control: counts, at } = reference;
    const maxRate = ratio * rateUpperBound(counts, alpha * BOUND_PART, BOUND_TRIALS);
    this.control = { counts, at, maxRate };
    this.logThreshold = -Math.log(alpha * (1 - BOUND_PART));
    if (maxRate > 0 && maxRate < 1) this.#test = new LimitTest(maxRate, HORIZON);
  }

  get logE(): number {
    return this.#test?.logE ?? 0;
  }

  get peakLogE(): number {
    return this.#test?.peakLogE ?? 0;
  }

  /** The treatment's trials since the excess most likely began. */
  get sinceOnset(): { readonly at: number | undefined; readonly counts: Trials } | undefined {
    return this.#test?.sinceOnset;
  }

  observe(counts: Trials, at: number): void {
    this.#test?.observeCounts(counts, at);
  }

  /** @returns undefined when nothing could be tested. */
  toJSON(): LimitTestState | undefined {
    return this.#test?.toJSON();
  }

  /** @throws RangeError for an invalid state. */
  restore(state: LimitTestState): void {
    this.#test?.restore(state);
  }
}
