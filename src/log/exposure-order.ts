import type { Outcome } from '../model/shapes.js';
import { MinHeap } from '../support/data/min-heap.js';
import { EvenSample } from './even-sample.js';

/** What happened next: the exposure that led to this outcome, or the outcome itself. */
export interface LoggedStep<T extends Outcome> {
  readonly type: 'exposure' | 'outcome';
  readonly outcome: T;
}

/** So many outcomes that were given back are dropped at once. */
const DROP_AT = 1_024;
/** Multiples of the golden ratio, modulo 2³², are all different. */
const GOLDEN = 0x9e37_79b9;

/** One line of the log. */
interface Line<T extends Outcome> {
  readonly outcome: T;
  readonly weight: number;
  /** Its first unit of those that were not written. */
  readonly firstUnit: number;
}

/**
 * Gives back a log's outcomes, which were written as they ended, with each exposure at its own time before: the order in which the
 * guard saw them. Outcomes keep the log's order. A line of the weight w is given back as w outcomes of as many units: those that were
 * not written count, and are no evidence of their own. It reads ahead as far as an outcome may end after its exposure, and no further:
 * an exposure that is older comes late.
 */
export class ExposureOrder<T extends Outcome> {
  readonly #horizonMs: number;
  readonly #exposures = new MinHeap<Line<T>>();
  readonly #lines: Line<T>[] = [];
  /** The first line that was not given back. */
  #next = 0;
  readonly #evenSample = new EvenSample();
  #nextUnit = 1;
  #latest = Number.NEGATIVE_INFINITY;

  /** @param horizonMs - The longest time from an exposure to its outcome. */
  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  /** Takes the next line. @returns what is complete by then: no later line can have been exposed before. */
  *add(outcome: T, weight = 1): Generator<LoggedStep<T>, void, void> {
    const { at, exposure } = outcome;
    // A clock that was set back, or a line with a wrong time: what waits is compared with no later line.
    if (at < this.#latest - this.#horizonMs) yield* this.rest();
    this.#latest = at;
    if (this.#next >= DROP_AT) {
      this.#lines.splice(0, this.#next);
      this.#next = 0;
    }
    const evidence = this.#evenSample.evidenceOf(outcome, weight);
    const given = evidence === 'all' ? outcome : { ...outcome, exposure: { ...exposure, evidence } };
    const line = { outcome: given, weight, firstUnit: this.#nextUnit };
    this.#nextUnit += weight;
    this.#lines.push(line);
    this.#exposures.push(Math.min(exposure.at, at), line);
    yield* this.#upTo(at - this.#horizonMs);
  }

  /** What is left at the end of the log. */
  rest(): Generator<LoggedStep<T>, void, void> {
    return this.#upTo(Number.POSITIVE_INFINITY);
  }

  *#upTo(time: number): Generator<LoggedStep<T>, void, void> {
    while (this.#next < this.#lines.length) {
      const line = this.#lines[this.#next]!;
      const { at } = line.outcome;
      // Each exposure is before its outcome, so that the first outcome's own has come by then.
      const isExposure = this.#exposures.lowest <= at;
      if ((isExposure ? this.#exposures.lowest : at) > time) return;
      if (isExposure) {
        yield* stepsOf('exposure', this.#exposures.pop()!);
      } else {
        this.#next += 1;
        yield* stepsOf('outcome', line);
      }
    }
  }
}

/** One step for each outcome for which a line stands. Made when they are wanted: a minute of them would be too many. */
function* stepsOf<T extends Outcome>(
  type: LoggedStep<T>['type'],
  { outcome, weight, firstUnit }: Line<T>,
): Generator<LoggedStep<T>, void, void> {
  yield { type, outcome };
  const { exposure } = outcome;
  const hasUnit = exposure.unit !== undefined || exposure.unitHash !== undefined;
  for (let index = 1; index < weight; index++) {
    const other = {
      ...exposure,
      evidence: 'none' as const,
      targetingKey: undefined,
      unit: undefined,
      unitHash: hasUnit ? Math.imul(firstUnit + index, GOLDEN) >>> 0 || 1 : undefined,
      // The store numbered them one after another.
      sequence: exposure.sequence === undefined ? undefined : exposure.sequence + index,
    };
    yield { type, outcome: { ...outcome, exposure: other } };
  }
}
