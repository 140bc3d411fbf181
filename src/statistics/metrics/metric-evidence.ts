import { ARMS, type Arm, type Trials } from '../../model/shapes.js';
import type { Evidence, MetricFigures } from '../../model/snapshot.js';
import { EventStream, type StreamEvidence } from '../event-stream.js';
import type { MetricState } from '../evidence-state.js';
import type { MetricRequest } from './metric-request.js';
import { ValueSample } from './value-sample.js';

/** What one unit did within the metric's time. */
export interface MetricTrial {
  /** The hash of the unit. */
  readonly unit: number;
  readonly treated: boolean;
  /** With which the unit was put into the treatment; 1 for the treatment at 100 %. */
  readonly chance: number;
  /** When it was exposed. */
  readonly at: number;
  /** 1 or 0 for a conversion. */
  readonly value: number;
}

/** Events that came for a metric, and those of them that could not be used. */
export interface MetricNotes {
  readonly tracked: number;
  readonly unattributed: number;
  readonly invalid: number;
}

/** Fewer values of the control make no limit. */
const MIN_CONTROL_COUNT = 100;
/** Limits are fixed anew when the control has so many times the values. */
const REFRESH_GROWTH = 2;
/** A tenth of a shop's orders is a disaster long before an error rate of 50 % is: smaller effects than those of failures are bet on. */
const METRIC_ODDS = [1.2, 1.35, 1.6, 2, 3, 5, 10, 50] as const;

/**
 * `worse`: its event is a value on the bad side of the limit, which a harmful treatment has more of. `better`: one on the good side, which
 * it has fewer of, so that its test is one for the control having more.
 */
interface Side {
  readonly role: 'worse' | 'better';
  /** Of the control's values by how good they are, 0 the worst; undefined for a conversion, whose limit is fixed. */
  readonly quantile: number | undefined;
}

/** Rare events show an effect best: of conversions those that are rare, of values those in both tails, and the usual one. */
const CONVERSION_SIDES: readonly Side[] = [
  { role: 'worse', quantile: undefined },
  { role: 'better', quantile: undefined },
];
const VALUE_SIDES: readonly Side[] = [
  { role: 'worse', quantile: 0.1 },
  { role: 'worse', quantile: 0.5 },
  { role: 'better', quantile: 0.9 },
];

/**
 * Does the treatment make a metric of the application's own worse? For each side, a unit's event is its first value beyond the limit,
 * compared by the event test. Alpha is split evenly over the sides. Limits depend on the control's values before, and are the same for
 * all units between two times at which they are fixed.
 */
export class MetricEvidence {
  readonly #request: MetricRequest;
  readonly #sides: readonly Side[];
  readonly #streams: readonly EventStream[];
  /** By how good a value is: the sign is turned where lower is better. NaN until the control has enough values. */
  readonly #limits: Float64Array;
  readonly #sign: 1 | -1;
  /** How much worse a value of the treatment may be. */
  readonly #tolerated: number;
  readonly #samples: Readonly<Record<Arm, ValueSample>> = {
    treatment: new ValueSample(),
    control: new ValueSample(),
  };
  /** Trials and the sum of their values, of the treatment, then of the control. */
  readonly #totals = new Float64Array(4);
  #notes: MetricNotes = { tracked: 0, unattributed: 0, invalid: 0 };
  #controlCount = 0;
  #fixedAtCount = 0;

  constructor(request: MetricRequest) {
    const isConversion = request.metric.kind === 'conversion';
    this.#request = request;
    this.#sides = isConversion ? CONVERSION_SIDES : VALUE_SIDES;
    this.#sign = request.direction === 'higher-is-better' ? 1 : -1;
    this.#tolerated = isConversion ? 0 : request.minDifference;
    const comparison = {
      alpha: request.alpha / this.#sides.length,
      ratio: 1,
      minDifference: isConversion ? request.minDifference : 0,
      odds: METRIC_ODDS,
    };
    this.#streams = this.#sides.map(() => new EventStream([comparison]));
    // Between 1 and 0, or between −1 and −0.
    this.#limits = new Float64Array(this.#sides.length).fill(isConversion ? this.#sign / 2 : Number.NaN);
  }

  /** Folds a unit in. Values are first compared, then part of what limits are made of. */
  settled({ unit, treated, chance, at, value }: MetricTrial): void {
    const first = treated ? 0 : 2;
    this.#totals[first]! += 1;
    this.#totals[first + 1]! += value;
    const goodness = this.#sign * value;
    if (!Number.isNaN(this.#limits[0])) {
      for (let i = 0; i < this.#sides.length; i++) {
        const limit = this.#limits[i]! - (treated ? this.#tolerated : 0);
        const stream = this.#streams[i]!;
        if (this.#sides[i]!.role === 'worse') stream.outcome(unit, treated, chance, goodness < limit, at, 1);
        // At 100 % no control can have more of it.
        else if (chance < 1 && 1 - chance < 1)
          stream.outcome(unit, !treated, 1 - chance, goodness > limit, at, 1);
      }
    }
    if (this.#request.metric.kind === 'conversion') return;
    this.#samples[treated ? 'treatment' : 'control'].add(value);
    if (treated || chance >= 1) return;
    this.#controlCount += 1;
    this.#fixLimits();
  }

  /** Adds up what came for the metric. */
  note({ tracked, unattributed, invalid }: MetricNotes): void {
    const before = this.#notes;
    this.#notes = {
      tracked: before.tracked + tracked,
      unattributed: before.unattributed + unattributed,
      invalid: before.invalid + invalid,
    };
  }

  beginEpoch(at: number): void {
    this.#controlCount = 0;
    this.#fixedAtCount = 0;
    for (const stream of this.#streams) stream.beginEpoch(at);
  }

  /** What the side that is nearest to its threshold has gathered, and the figures of both arms. */
  evidence(): StreamEvidence & { readonly metric: MetricFigures } {
    const found = this.#streams.map((stream, index) => ({ index, ...stream.evidence(0) }));
    const isFrozen = found.some(({ frozen }) => frozen !== undefined);
    const margin = ({ logE, logThreshold, breached }: StreamEvidence) =>
      breached ? Number.POSITIVE_INFINITY : logE - logThreshold;
    const { index, ...strongest } = found
      .filter((each) => !isFrozen || each.frozen !== undefined)
      .reduce((best, each) => (margin(each) > margin(best) ? each : best));
    const { role, quantile } = this.#sides[index]!;
    const limit = this.#limits[index]!;
    const compared = Number.isNaN(limit)
      ? undefined
      : { role, quantile: this.#shownQuantile(quantile), limit: this.#sign * limit };
    return {
      ...(role === 'worse' ? strongest : turned(strongest)),
      metric: { ...this.#notes, arms: this.#arms(), compared },
    };
  }

  toJSON(): MetricState {
    const { treatment, control } = this.#samples;
    const [a, b, c, d] = this.#totals;
    return {
      streams: this.#streams.map((stream) => stream.toJSON()),
      limits: Array.from(this.#limits, (limit) => (Number.isNaN(limit) ? null : limit)),
      samples: { treatment: treatment.toJSON(), control: control.toJSON() },
      totals: [a!, b!, c!, d!],
      notes: this.#notes,
      controlCount: this.#controlCount,
      fixedAtCount: this.#fixedAtCount,
    };
  }

  /** @throws RangeError for an invalid state. */
  restore(state: MetricState): void {
    if (state.streams.length !== this.#streams.length || state.limits.length !== this.#limits.length) {
      throw new RangeError('The state has other sides');
    }
    for (const [i, stream] of this.#streams.entries()) stream.restore(state.streams[i]!);
    this.#limits.set(state.limits.map((limit) => limit ?? Number.NaN));
    for (const arm of ARMS) this.#samples[arm].restore(state.samples[arm]);
    this.#totals.set(state.totals);
    this.#notes = state.notes;
    this.#controlCount = state.controlCount;
    this.#fixedAtCount = state.fixedAtCount;
  }

  #fixLimits(): void {
    const count = this.#controlCount;
    if (count < MIN_CONTROL_COUNT || count < this.#fixedAtCount * REFRESH_GROWTH) return;
    for (const [i, { quantile }] of this.#sides.entries()) {
      const value = this.#samples.control.quantile(this.#shownQuantile(quantile)!)!;
      this.#limits[i] = this.#sign * value;
    }
    this.#fixedAtCount = count;
    for (const stream of this.#streams) stream.forgetControl();
  }

  /** Of the values as they are: where lower is better, the worst ones are the highest. */
  #shownQuantile(quantile: number | undefined): number | undefined {
    if (quantile === undefined) return undefined;
    return this.#sign === 1 ? quantile : Number((1 - quantile).toFixed(6));
  }

  #arms(): MetricFigures['arms'] {
    const of = (arm: Arm, first: number) => {
      const trials = this.#totals[first]!;
      const value =
        this.#request.metric.kind === 'conversion'
          ? this.#totals[first + 1]! / trials
          : this.#samples[arm].quantile(0.5);
      return { trials, value: trials === 0 ? undefined : value };
    };
    return { treatment: of('treatment', 0), control: of('control', 2) };
  }
}

/** The evidence of a test in which the control has the treatment's place: both arms in theirs, and what did not happen as the event. */
function turned(evidence: StreamEvidence): StreamEvidence {
  const { counts, since } = evidence;
  return {
    ...evidence,
    counts: turnedCounts(counts),
    since: { ...since, counts: turnedCounts(since.counts) },
  };
}

function turnedCounts({ treatment, control }: Evidence['counts']): Evidence['counts'] {
  const rest = ({ trials, failures }: Trials) => ({ trials, failures: trials - failures });
  return { treatment: rest(control), control: rest(treatment) };
}
