import type { Evidence, TrialsSince } from '../model/snapshot.js';
import { rateOf } from './confidence.js';
import { EventTest, type EventTotals, type Moment } from './event-test.js';
import type { BreachState, ComparisonState, FrozenReference } from './evidence-state.js';
import { FrozenControlTest } from './frozen-control.js';

/** What one trigger asks of a stream of events. */
export interface ComparisonRequest {
  readonly alpha: number;
  readonly ratio: number;
  readonly minDifference: number;
  /** The odds ratios that are bet on, relative to `ratio`. @default those of failures */
  readonly odds?: readonly number[] | undefined;
}

/** The part of alpha for the time in which both arms run; the rest is for after it. */
const SPLIT_PART = 0.8;
/** Latest events of the treatment before each of which the harm may have begun. */
const MAX_STARTS = 64;
/** By so much the log likelihood ratio must be larger for a later beginning: the best of many always is a little. */
const START_PENALTY = 5;
/** Fewer events after it show no beginning: two of two calls fail somewhere in every long rollout. */
const MIN_STARTED_EVENTS = 10;

/** With less evidence nobody asks exactly when it began, and the search costs as much as all the rest. */
const LOG_E_OF_INTEREST = 1;

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
  /** Before the treatment's latest events. */
  readonly #starts = new MomentRing(MAX_STARTS);
  /** When the harm most likely began, as of the latest event; undefined for "at the start". Computed on demand. */
  #onset: Moment | undefined;
  /** The totals at risk at the latest event, while {@link #onset} is not of it. */
  readonly #atEvent = new Float64Array(4);
  #isOnsetStale = false;
  #threshold = { generation: 0, log: 0 };

  constructor(request: ComparisonRequest) {
    this.#request = request;
    this.#test = new EventTest(request.ratio, request.odds);
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
    if (treated) this.#starts.pushBefore(at, atRisk);
    // One by one: the method that copies costs more than all of this.
    for (let i = 0; i < 4; i++) this.#atEvent[i] = atRisk[i]!;
    this.#isOnsetStale = true;
    if (this.#breach !== undefined) return;
    // The peak is known; the evidence now is at most that, and a logarithm.
    const threshold = this.#splitThreshold(generation);
    if (this.#test.peakLogE < threshold || this.#test.logE < threshold) return;
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
    this.#starts.clear();
    this.#onset = undefined;
    this.#isOnsetStale = false;
    this.#test = new EventTest(this.#request.ratio, this.#request.odds);
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
      starts: this.#starts.toMoments(),
      onset: this.#latestOnset,
      breach: this.#breach,
    };
  }

  /** @throws RangeError for an invalid state. */
  restore({ test, frozen, start, starts, onset, breach }: ComparisonState): void {
    this.#test.restore(test);
    if (frozen !== undefined) {
      this.freeze(frozen.reference);
      if (frozen.test !== undefined) this.#frozen!.restore(frozen.test);
    }
    this.#start = start;
    this.#starts.restore(starts);
    this.#onset = onset;
    this.#isOnsetStale = false;
    this.#breach = breach;
  }

  /** In generation g the threshold is g(g + 1)/alpha, so that all generations together keep alpha. */
  #splitThreshold(generation: number): number {
    if (this.#threshold.generation !== generation) {
      const log = Math.log(generation * (generation + 1)) - Math.log(this.#request.alpha * SPLIT_PART);
      this.#threshold = { generation, log };
    }
    return this.#threshold.log;
  }

  /** Whether the difference is as large as `minDifference`. */
  #matters({ counts: { treatment, control } }: TrialsSince): boolean {
    return rateOf(treatment) - rateOf(control) >= this.#request.minDifference;
  }

  /**
   * Of the beginning of the strongest alternative's excursion and the treatment's events since then: where the events that followed
   * exceed what the control's rate lets expect the most, by the likelihood ratio of Poisson counts (the scan statistic of Kulldorff,
   * 1997). The test itself counts events alone, and cannot say how long none came.
   */
  #mostLikelyOnset(atRisk: Float64Array): Moment | undefined {
    const [trials, events, controlTrials, controlEvents] = atRisk;
    const rate = (controlEvents! + 0.5) / (controlTrials! + 1);
    const excess = ({ totals }: Moment) => {
      const count = events! - totals[1];
      const expected = rate * (trials! - totals[0]);
      return count > expected ? count * Math.log(count / expected) - (count - expected) : 0;
    };
    let best = this.#test.onset ?? this.#start;
    let most = excess(best ?? { at: 0, totals: NONE }) + START_PENALTY;
    const from = best?.at ?? Number.NEGATIVE_INFINITY;
    for (const start of this.#starts.toMoments()) {
      if (start.at < from || events! - start.totals[1] < MIN_STARTED_EVENTS || excess(start) <= most)
        continue;
      most = excess(start);
      best = start;
    }
    return best;
  }

  get #latestOnset(): Moment | undefined {
    if (!this.#isOnsetStale) return this.#onset;
    this.#isOnsetStale = false;
    this.#onset =
      this.#test.logE > LOG_E_OF_INTEREST
        ? this.#mostLikelyOnset(this.#atEvent)
        : (this.#test.onset ?? this.#start);
    return this.#onset;
  }

  #sinceOnset(atRisk: Float64Array): TrialsSince & { readonly at: number | undefined } {
    const onset = this.#latestOnset ?? this.#start;
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

/** Of a moment: its time and its four totals. */
const FIELDS = 5;

/** The latest moments, in fixed memory: an event of a rollout allocates nothing. */
class MomentRing {
  readonly #size: number;
  readonly #fields: Float64Array;
  /** How many came in all. */
  #count = 0;

  constructor(size: number) {
    this.#size = size;
    this.#fields = new Float64Array(size * FIELDS);
  }

  /** Adds the moment before the treatment's event that is the latest in these totals. */
  pushBefore(at: number, totals: ArrayLike<number>): void {
    this.#push(at, Math.max(0, totals[0]! - 1), Math.max(0, totals[1]! - 1), totals[2]!, totals[3]!);
  }

  clear(): void {
    this.#count = 0;
  }

  /** Oldest first. */
  toMoments(): Moment[] {
    const moments: Moment[] = [];
    for (let number = Math.max(0, this.#count - this.#size); number < this.#count; number++) {
      const first = (number % this.#size) * FIELDS;
      const [at, a, b, c, d] = this.#fields.subarray(first, first + FIELDS);
      moments.push({ at: at!, totals: [a!, b!, c!, d!] });
    }
    return moments;
  }

  /** Replaces all by these, oldest first. */
  restore(moments: readonly Moment[]): void {
    this.clear();
    for (const { at, totals } of moments) this.#push(at, totals[0], totals[1], totals[2], totals[3]);
  }

  #push(at: number, a: number, b: number, c: number, d: number): void {
    const first = (this.#count % this.#size) * FIELDS;
    const fields = this.#fields;
    fields[first] = at;
    fields[first + 1] = a;
    fields[first + 2] = b;
    fields[first + 3] = c;
    fields[first + 4] = d;
    this.#count += 1;
  }
}
