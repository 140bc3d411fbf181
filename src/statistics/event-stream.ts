import type { Evidence } from '../model/snapshot.js';
import { Comparison, type ComparisonRequest } from './comparison.js';
import { EVENT_HORIZON } from './event-test.js';
import type { EventStreamState, FrozenReference } from './evidence-state.js';
import { UnitMarks } from './unit-marks.js';

/** Outcomes over which the share of marked units is measured. */
const RECENT_OUTCOMES = 2_000;
const MAX_MARKED_SHARE = 0.3;
/** So many outcomes of the control replace any number of earlier ones; fewer replace none that are more. */
const ENOUGH_CONTROL_TRIALS = 1_000;

/** What a stream has gathered for one of its comparisons. */
export type StreamEvidence = ReturnType<Comparison['evidence']> & Pick<Evidence, 'generation' | 'repeated'>;

/**
 * The outcomes of a rollout as trials of one kind of event, and the comparisons that rest on them.
 *
 * Each unit speaks once: it is marked at its first event, and its later ones carry no evidence. Units without an event stay at risk, so
 * that harm that begins late is seen at once. When more than 30 % of the outcomes come from marked units, or after 2,000 events, a
 * new generation begins: marks are cleared and the tests begin anew, at a threshold that keeps alpha for all generations
 * together. When that happens depends on no arm.
 */
export class EventStream {
  readonly #comparisons: readonly Comparison[];
  readonly #marks = new UnitMarks();
  /** Trials and events of the treatment, then of the control, of units whose arm was drawn. */
  readonly #totals = new Float64Array(4);
  /** Of these, those of units without an event before: what one unit does over and over is no size of an effect. */
  readonly #atRisk = new Float64Array(4);
  /** The treatment's trials and events at 100 %. */
  readonly #full = new Float64Array(2);
  /** The control's trials and events in this epoch and generation, of units without an event before. */
  #control = { trials: 0, failures: 0 };
  #reference: FrozenReference | undefined;
  #isFull = false;
  #generation = 1;
  #recent = 0;
  #recentMarked = 0;
  #repeated = 0;

  constructor(requests: readonly ComparisonRequest[]) {
    this.#comparisons = requests.map((request) => new Comparison(request));
  }

  get generation(): number {
    return this.#generation;
  }

  /** The evidence of the first comparison now. */
  get logE(): number {
    return this.#comparisons[0]!.logE;
  }

  /**
   * Folds an outcome in, in the order of exposures.
   *
   * @param unit - Its hash; 0 when each outcome is a unit of its own.
   * @param chance - With which the unit was put into the treatment; 1 for the treatment at 100 %.
   * @param weight - How many outcomes without an event it stands for.
   * @param isEvidence - Otherwise it counts, and its event is none that the tests rest on.
   */
  outcome(
    unit: number,
    treated: boolean,
    chance: number,
    happened: boolean,
    at: number,
    weight: number,
    isEvidence = true,
  ): void {
    const marked = this.#marks.has(unit);
    // Every event is sent, and a sample of the rest.
    const trials = happened ? 1 : weight;
    if (chance >= 1) {
      this.#full[0]! += trials;
      if (happened) this.#full[1]! += 1;
      this.#isFull = true;
      if (marked) return;
      for (const comparison of this.#comparisons) comparison.full(happened, trials, at);
      if (happened) this.#marks.add(unit);
      return;
    }
    this.#isFull = false;
    const first = treated ? 0 : 2;
    this.#totals[first]! += trials;
    if (happened) this.#totals[first + 1]! += 1;
    if (!marked) {
      this.#atRisk[first]! += trials;
      if (happened) this.#atRisk[first + 1]! += 1;
    }
    if (!treated && !marked) {
      this.#control.trials += trials;
      if (happened) this.#control.failures += 1;
    }
    this.#recent += weight;
    if (marked) this.#recentMarked += weight;
    if (happened && isEvidence) this.#event(unit, treated, chance, at, marked);
    if (this.#recent >= RECENT_OUTCOMES) this.#checkMarks(at);
  }

  /** An event that is no part of an outcome, such as a complaint. */
  event(unit: number, treated: boolean, chance: number, at: number): void {
    const marked = this.#marks.has(unit);
    if (chance >= 1) {
      this.#full[1]! += 1;
      if (marked) return;
      for (const comparison of this.#comparisons) comparison.full(true, 1, at);
      this.#marks.add(unit);
      return;
    }
    this.#totals[treated ? 1 : 3]! += 1;
    if (!marked) this.#atRisk[treated ? 1 : 3]! += 1;
    if (!treated && !marked) {
      this.#control.trials += 1;
      this.#control.failures += 1;
    }
    this.#event(unit, treated, chance, at, marked);
  }

  /** What counts as the event has changed: the control so far is none that a treatment alone may be compared with. */
  forgetControl(): void {
    this.#control = { trials: 0, failures: 0 };
    this.#reference = undefined;
    for (const comparison of this.#comparisons) comparison.forgetFrozen();
  }

  /** The percentage changed: the control so far is what the treatment is compared with if none runs from now on. */
  beginEpoch(at: number): void {
    const { trials } = this.#control;
    const known = this.#reference?.control.trials ?? 0;
    if (trials > 0 && trials >= Math.min(known, ENOUGH_CONTROL_TRIALS)) {
      this.#reference = { control: { ...this.#control }, at };
      this.#control = { trials: 0, failures: 0 };
      for (const comparison of this.#comparisons) comparison.freeze(this.#reference);
    }
    for (const comparison of this.#comparisons) comparison.beginEpoch();
  }

  evidence(index: number): StreamEvidence {
    const found = this.#comparisons[index]!.evidence(
      this.#isFull,
      this.#totals,
      this.#atRisk,
      this.#full,
      this.#generation,
    );
    // Field by field: a spread would cost more than all the rest, and the guard evaluates after every outcome.
    return {
      logE: found.logE,
      peakLogE: found.peakLogE,
      logThreshold: found.logThreshold,
      breached: found.breached,
      counts: found.counts,
      since: found.since,
      frozen: found.frozen,
      events: found.events,
      generation: this.#generation,
      repeated: this.#repeated,
    };
  }

  toJSON(): EventStreamState {
    const totals = ([a, b, c, d]: Float64Array) => [a!, b!, c!, d!] as const;
    return {
      totals: totals(this.#totals),
      atRisk: totals(this.#atRisk),
      full: [this.#full[0]!, this.#full[1]!],
      control: { ...this.#control },
      reference: this.#reference,
      marks: this.#marks.toText(),
      isFull: this.#isFull,
      generation: this.#generation,
      recent: this.#recent,
      recentMarked: this.#recentMarked,
      repeated: this.#repeated,
      comparisons: this.#comparisons.map((comparison) => comparison.toJSON()),
    };
  }

  /** Continues from a state of a stream with the same comparisons. @throws RangeError for an invalid state. */
  restore(state: EventStreamState): void {
    if (state.comparisons.length !== this.#comparisons.length) {
      throw new RangeError('The state has other comparisons');
    }
    for (const [index, comparison] of this.#comparisons.entries()) {
      comparison.restore(state.comparisons[index]!);
    }
    this.#marks.restore(state.marks);
    this.#totals.set(state.totals);
    this.#atRisk.set(state.atRisk);
    this.#full.set(state.full);
    this.#control = { ...state.control };
    this.#reference = state.reference;
    this.#isFull = state.isFull;
    this.#generation = state.generation;
    this.#recent = state.recent;
    this.#recentMarked = state.recentMarked;
    this.#repeated = state.repeated;
  }

  #event(unit: number, treated: boolean, chance: number, at: number, marked: boolean): void {
    if (marked) {
      this.#repeated += 1;
      return;
    }
    this.#marks.add(unit);
    for (const comparison of this.#comparisons) {
      comparison.event(treated, chance, at, this.#atRisk, this.#generation);
    }
    if (this.#marks.isFull || this.#comparisons[0]!.events >= EVENT_HORIZON) this.#beginGeneration(at);
  }

  #checkMarks(at: number): void {
    if (this.#recentMarked > MAX_MARKED_SHARE * this.#recent) this.#beginGeneration(at);
    else {
      this.#recent /= 2;
      this.#recentMarked /= 2;
    }
  }

  #beginGeneration(at: number): void {
    this.#generation += 1;
    this.#marks.clear();
    this.#recent = 0;
    this.#recentMarked = 0;
    // It was measured with other marks: units that failed then would fail for the first time again.
    this.forgetControl();
    const [a, b, c, d] = this.#atRisk;
    const start = { at, totals: [a!, b!, c!, d!] } as const;
    for (const comparison of this.#comparisons) comparison.beginGeneration(start);
  }
}
