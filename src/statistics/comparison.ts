import type { Evidence, Trials, TrialsSince } from '../model/shapes.js';
import { EventTest, type EventTotals, type Moment } from './event-test.js';
import type { BreachState, ComparisonState, FrozenReference } from './evidence-state.js';
import { FrozenControlTest } from './frozen-control.js';

/** What one trigger asks of a stream of events. */
export interface ComparisonRequest {
  readonly alpha: number;
  readonly ratio: number;
  readonly minDifference: number;
}

/** The part of alpha for the time in which both arms run; the rest is for after it. */
const SPLIT_PART = 0.9;

const NONE: EventTotals = [0, 0, 0, 0];

/**
 * One trigger's test of one kind of event: the treatment against the control beside it and, where no control remains, against the
 * control as it was. A breach needs the evidence and, per outcome since the harm most likely began, a difference of the rates of
 * `minDifference`, among units without an event before.
 */
export class Comparison {
  readonly #request: ComparisonRequest;
  #test: EventTest;
  #frozen: FrozenControlTest | undefined;
  #breach: BreachState | undefined;
  /** Where the totals stood when the generation began; undefined in the first one. */
  #start: Moment | undefined;

  constructor(request: ComparisonRequest) {
    this.#request = request;
    this.#test = new EventTest(request.ratio);
  }

  /** The evidence of the comparison of both arms now. */
  get logE(): number {
    return this.#test.logE;
  }

  /** How many events of both arms carried evidence. */
  get events(): number {
    return this.#test.events;
  }

  /** The first event of a unit whose arm was drawn. */
  event(treated: boolean, chance: number, at: number, atRisk: Float64Array, generation: number): void {
    this.#test.observe(treated, chance, at, atRisk);
    if (this.#breach !== undefined || this.#test.logE < this.#splitThreshold(generation)) return;
    const since = this.#sinceOnset(atRisk);
    if (this.#matters(since)) this.#breach = { at, frozen: false, since };
  }

  /** An outcome of the treatment at 100 %, of a unit without an event so far. */
  full(happened: boolean, trials: number, at: number): void {
    const frozen = this.#frozen;
    if (frozen === undefined) return;
    frozen.observe({ trials, failures: happened ? 1 : 0 }, at);
    if (this.#breach !== undefined || !happened || frozen.logE < frozen.logThreshold) return;
    const since = sinceFrozen(frozen);
    if (since !== undefined && this.#matters(since)) this.#breach = { at, frozen: true, since };
  }

  /** The control as it was last; what was gathered against an earlier one is dropped. */
  freeze(reference: FrozenReference): void {
    const { ratio, alpha } = this.#request;
    this.#frozen = new FrozenControlTest(reference, ratio, alpha * (1 - SPLIT_PART));
  }

  /** A breach counts for the epoch in which it was found. */
  beginEpoch(): void {
    this.#breach = undefined;
  }

  /** The marks were cleared: both tests begin anew, and with them the time in which harm may have begun. */
  beginGeneration(start: Moment): void {
    this.#start = start;
    this.#test = new EventTest(this.#request.ratio);
  }

  /** The control as it was is not comparable any more. */
  forgetFrozen(): void {
    this.#frozen = undefined;
  }

  /** @param isFull - Whether the treatment's latest outcomes were at 100 %. */
  evidence(
    isFull: boolean,
    totals: Float64Array,
    atRisk: Float64Array,
    full: Float64Array,
    generation: number,
  ): Pick<
    Evidence,
    'logE' | 'peakLogE' | 'logThreshold' | 'breached' | 'counts' | 'since' | 'frozen' | 'events'
  > {
    const frozen = (this.#breach?.frozen ?? isFull) ? this.#frozen : undefined;
    const breached = this.#breach !== undefined;
    const events = this.#test.events;
    if (frozen === undefined) {
      return {
        logE: this.#test.logE,
        peakLogE: this.#test.peakLogE,
        logThreshold: this.#splitThreshold(generation),
        breached,
        counts: countsBetween(NONE, totals),
        since: this.#breach?.since ?? this.#sinceOnset(atRisk),
        frozen: undefined,
        events,
      };
    }
    const { control, logE, peakLogE, logThreshold } = frozen;
    const counts = { treatment: { trials: full[0]!, failures: full[1]! }, control: control.counts };
    const since = this.#breach?.since ?? sinceFrozen(frozen) ?? { at: undefined, counts };
    return { logE, peakLogE, logThreshold, breached, counts, since, frozen: control, events };
  }

  toJSON(): ComparisonState {
    const frozen = this.#frozen;
    return {
      test: this.#test.toJSON(),
      frozen: frozen && { reference: frozen.reference, test: frozen.toJSON() },
      start: this.#start,
      breach: this.#breach,
    };
  }

  /** @throws RangeError for an invalid state. */
  restore({ test, frozen, start, breach }: ComparisonState): void {
    this.#test.restore(test);
    if (frozen !== undefined) {
      this.freeze(frozen.reference);
      if (frozen.test !== undefined) this.#frozen!.restore(frozen.test);
    }
    this.#start = start;
    this.#breach = breach;
  }

  /** In generation g the threshold is g(g + 1)/alpha, so that all generations together keep alpha. */
  #splitThreshold(generation: number): number {
    return Math.log(generation * (generation + 1)) - Math.log(this.#request.alpha * SPLIT_PART);
  }

  /** Whether the difference may be as large as `minDifference`: one that is too small by no more than its standard error may. */
  #matters(since: TrialsSince): boolean {
    const { treatment, control } = since.counts;
    const error = Math.sqrt(varianceOf(treatment) + varianceOf(control));
    return rateOf(treatment) - rateOf(control) + error >= this.#request.minDifference;
  }

  #sinceOnset(atRisk: Float64Array): TrialsSince & { readonly at: number | undefined } {
    const onset = this.#test.onset ?? this.#start;
    const since = countsBetween(onset?.totals ?? NONE, atRisk);
    // Where no outcome of the control came since, all of its outcomes are what there is.
    const control = since.control.trials > 0 ? since.control : countsBetween(NONE, atRisk).control;
    return { at: onset?.at, counts: { treatment: since.treatment, control } };
  }
}

function sinceFrozen(frozen: FrozenControlTest): TrialsSince | undefined {
  const since = frozen.sinceOnset;
  return since && { at: since.at, counts: { treatment: since.counts, control: frozen.control.counts } };
}

function countsBetween(from: ArrayLike<number>, to: ArrayLike<number>): TrialsSince['counts'] {
  return {
    treatment: { trials: to[0]! - from[0]!, failures: to[1]! - from[1]! },
    control: { trials: to[2]! - from[2]!, failures: to[3]! - from[3]! },
  };
}

/** Of no trials, 0. */
function rateOf({ trials, failures }: Trials): number {
  return trials === 0 ? 0 : failures / trials;
}

/** Of a rate. */
function varianceOf(counts: Trials): number {
  const rate = Math.min(rateOf(counts), 1);
  return counts.trials === 0 ? 0 : (rate * (1 - rate)) / counts.trials;
}
