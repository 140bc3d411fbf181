import type { Assignment, Evidence } from '../model/snapshot.js';
import { EventTest } from './event-test.js';
import type { SampleRatioState } from './evidence-state.js';
import { UnitMarks } from './unit-marks.js';

/** Too few or too many units of the treatment: odds ratios of what is seen to what was drawn. */
const RATIO_ODDS = [1 / 5, 1 / 2, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2, 5] as const;
const NO_TOTALS = [0, 0, 0, 0];

/**
 * Were the units really drawn with their chances, and does each stay in its arm? A unit counts when it is seen first, by its chance
 * then; the same e-process as for events, with alternatives in both directions.
 *
 * Memory is bounded: when 98,304 units are known, those with an odd hash are dropped and are not counted from then on, and so
 * on for the next bit. The hash depends on no arm.
 *
 * Source of the idea: Fabijan et al., *Diagnosing sample ratio mismatch in online controlled experiments* (2019).
 */
export class SampleRatio {
  readonly #test = new EventTest(1, RATIO_ODDS);
  readonly #seen = new UnitMarks();
  /** Units of this epoch with the arm in the lowest bit. */
  readonly #arms = new UnitMarks();
  /** Units are counted whose lowest bits, so many, are 0 (above the bit of the arm). */
  #shift = 0;
  #units = 0;
  #treatment = 0;
  #expected = 0;
  #epochUnits = 0;
  #inBothArms = 0;

  /** Folds an exposure in. Units without a hash are not known again, and not counted. */
  exposed(unit: number, treated: boolean, chance: number, at: number): void {
    if (unit === 0 || ((unit >>> 1) & (2 ** this.#shift - 1)) !== 0) return;
    if (this.#seen.add(unit)) {
      this.#units += 1;
      this.#treatment += treated ? 1 : 0;
      this.#expected += chance;
      this.#test.observe(treated, chance, at, NO_TOTALS);
      if (this.#seen.isFull) this.#thin();
    }
    const inTreatment = (unit | 1) >>> 0;
    const inControl = (unit & ~1) >>> 0;
    if (!this.#arms.add(treated ? inTreatment : inControl)) return;
    if (this.#arms.has(treated ? inControl : inTreatment)) this.#inBothArms += 1;
    else this.#epochUnits += 1;
    if (this.#arms.isFull) this.#thin();
  }

  /** At another percentage a unit may be in another arm. */
  beginEpoch(): void {
    this.#arms.clear();
    this.#epochUnits = 0;
    this.#inBothArms = 0;
  }

  evidence(alpha: number): Pick<Evidence, 'logE' | 'peakLogE' | 'logThreshold' | 'breached' | 'events'> & {
    readonly assignment: Assignment;
  } {
    const { logE, peakLogE, events } = this.#test;
    const assignment = {
      units: this.#units,
      treatment: this.#treatment,
      expected: this.#expected,
      epochUnits: this.#epochUnits,
      inBothArms: this.#inBothArms,
    };
    const logThreshold = -Math.log(alpha);
    return { logE, peakLogE, logThreshold, breached: logE >= logThreshold, events, assignment };
  }

  toJSON(): SampleRatioState {
    return {
      test: this.#test.toJSON(),
      seen: this.#seen.toText(),
      arms: this.#arms.toText(),
      shift: this.#shift,
      units: this.#units,
      treatment: this.#treatment,
      expected: this.#expected,
      epochUnits: this.#epochUnits,
      inBothArms: this.#inBothArms,
    };
  }

  /** @throws RangeError for an invalid state. */
  restore(state: SampleRatioState): void {
    this.#test.restore(state.test);
    this.#seen.restore(state.seen);
    this.#arms.restore(state.arms);
    this.#shift = state.shift;
    this.#units = state.units;
    this.#treatment = state.treatment;
    this.#expected = state.expected;
    this.#epochUnits = state.epochUnits;
    this.#inBothArms = state.inBothArms;
  }

  /** Halves what is remembered; the counts of what was seen stay. */
  #thin(): void {
    this.#shift += 1;
    const kept = (unit: number) => ((unit >>> 1) & (2 ** this.#shift - 1)) === 0;
    this.#seen.retain(kept);
    this.#arms.retain(kept);
  }
}
