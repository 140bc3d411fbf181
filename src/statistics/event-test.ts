import type { EventTestState } from './evidence-state.js';
import { RestartMixture } from './restart-mixture.js';

/** The odds ratios of a harmful treatment that are bet on. */
export const HARM_ODDS = [1.5, 2.5, 5, 10, 20, 50, 200, 2000] as const;

/** Events over which restarts are evenly spread. */
export const EVENT_HORIZON = 2_000;

/** Where the units' outcomes stood at one moment: trials and events of the treatment, then of the control. */
export type EventTotals = readonly [
  treatmentTrials: number,
  treatmentEvents: number,
  controlTrials: number,
  controlEvents: number,
];

/** A moment, and the totals then. */
export interface Moment {
  readonly at: number;
  readonly totals: EventTotals;
}

interface Factors {
  readonly treatment: Float64Array;
  readonly control: Float64Array;
}

/** Distinct chances whose factors are kept; a rollout has a few. */
const MAX_CHANCES = 256;

/**
 * Of the units to which something happens for the first time, do more belong to the treatment than chance put there?
 *
 * If the treatment changes nothing, such a unit is in the treatment with exactly the chance π with which it was drawn, whatever
 * the units are like and however often they come. With a tolerated odds ratio r, `q₀ = rπ/(rπ + 1 − π)`; for each
 * alternative ratio, `q = oπ/(oπ + 1 − π)` with `o = r · ratio`. An event of the treatment multiplies that alternative's stake by
 * `q/q₀`, one of the control by `(1 − q)/(1 − q₀)`. Stakes are a {@link RestartMixture}, restarted per event. π travels with
 * each event, so that evidence goes on when the percentage changes.
 *
 * Sources: Grünwald, Ly, Pérez-Ortiz and ter Schure, *The safe logrank test* (2020–2024); Lindon and Malek, *Anytime-valid inference
 * for multinomial count data* (2022).
 */
export class EventTest {
  readonly #ratio: number;
  readonly #odds: readonly number[];
  readonly #mixture: RestartMixture;
  readonly #factorsByChance = new Map<number, Factors>();
  /** Of the latest event: a rollout seldom has another chance than before. */
  #latest: { readonly chance: number; readonly factors: Factors } | undefined;
  /** For each alternative, the moment before the first event since its likelihood ratio was lowest. */
  readonly #onsets: (Moment | undefined)[];
  /** The alternatives whose likelihood ratio is lowest now, as bits. */
  #lowest: number;
  #events = 0;

  /**
   * @param ratio - The odds ratio, treatment to control, that is tolerated.
   * @param odds - The alternatives, relative to it.
   */
  constructor(ratio = 1, odds: readonly number[] = HARM_ODDS) {
    this.#ratio = ratio;
    this.#odds = odds;
    this.#mixture = new RestartMixture({ alternatives: odds.length, horizon: EVENT_HORIZON, tail: 0 });
    this.#onsets = odds.map(() => undefined);
    this.#lowest = this.#mixture.lowest;
  }

  /** The natural logarithm of the evidence now. */
  get logE(): number {
    return this.#mixture.logE;
  }

  /** The largest {@link logE} so far. */
  get peakLogE(): number {
    return this.#mixture.peakLogE;
  }

  /** How many events carried evidence. */
  get events(): number {
    return this.#events;
  }

  /**
   * When the harm most likely began: with the first event since the strongest alternative's likelihood ratio was lowest, because nothing is
   * known of the time between. Undefined while nothing speaks for harm.
   */
  get onset(): Moment | undefined {
    const { strongest } = this.#mixture;
    return this.#lowest & (1 << strongest) ? undefined : this.#onsets[strongest];
  }

  /**
   * Folds in the first event of a unit. A chance of 0 or 1 carries no evidence.
   *
   * @param treated - Whether the unit was in the treatment.
   * @param chance - With which it was put there, a fraction.
   * @param totals - Where the outcomes stand after it; copied.
   */
  observe(treated: boolean, chance: number, at: number, totals: ArrayLike<number>): void {
    if (!(chance > 0 && chance < 1)) return;
    this.#events++;
    if (this.#latest?.chance !== chance) this.#latest = { chance, factors: this.#factors(chance) };
    const { factors } = this.#latest;
    const lowest = this.#mixture.step(treated ? factors.treatment : factors.control);
    const risen = this.#lowest & ~lowest;
    this.#lowest = lowest;
    if (risen === 0) return;
    const moment = momentBefore(treated, at, totals);
    for (let k = 0; k < this.#odds.length; k++) if (risen & (1 << k)) this.#onsets[k] = moment;
  }

  /** The state as plain JSON. */
  toJSON(): EventTestState {
    return {
      mixture: this.#mixture.toJSON(),
      events: this.#events,
      onsets: this.#onsets.map((moment) => moment ?? null),
    };
  }

  /** Continues from a state of a test with the same options. @throws RangeError for an invalid state. */
  restore({ mixture, events, onsets }: EventTestState): void {
    const { length } = this.#odds;
    if (onsets.length !== length) {
      throw new RangeError('The state has another number of alternatives');
    }
    this.#mixture.restore(mixture);
    this.#events = events;
    this.#lowest = this.#mixture.lowest;
    for (let k = 0; k < length; k++) this.#onsets[k] = onsets[k] ?? undefined;
  }

  #factors(chance: number): Factors {
    const known = this.#factorsByChance.get(chance);
    if (known !== undefined) return known;
    if (this.#factorsByChance.size >= MAX_CHANCES) this.#factorsByChance.clear();
    const drawn = (odds: number) => (odds * chance) / (odds * chance + 1 - chance);
    const q0 = drawn(this.#ratio);
    const factors = {
      treatment: Float64Array.from(this.#odds, (odds) => drawn(this.#ratio * odds) / q0),
      control: Float64Array.from(this.#odds, (odds) => (1 - drawn(this.#ratio * odds)) / (1 - q0)),
    };
    this.#factorsByChance.set(chance, factors);
    return factors;
  }
}

/** Where the totals stood before the event that is their latest. */
function momentBefore(treated: boolean, at: number, totals: ArrayLike<number>): Moment {
  const before: [number, number, number, number] = [totals[0]!, totals[1]!, totals[2]!, totals[3]!];
  const first = treated ? 0 : 2;
  before[first] = Math.max(0, before[first] - 1);
  before[first + 1] = Math.max(0, before[first + 1]! - 1);
  return { at, totals: before };
}
