import { COUNT_FIELDS } from '../measure/arm-counts.js';
import type { OutcomeDelta } from '../measure/outcome-delta.js';
import { ARMS } from '../model/shapes.js';
import type { FlushedDelta } from './fleet-link.js';

/** Where outcomes belong that a process recorded between two changes of the rollout. */
export interface DeltaEpoch {
  /** The fleet's epoch; undefined until the fleet has told. */
  epoch: number | undefined;
  /** The definition (see `FlagFacts.revision`) that the process had; undefined before the first. */
  revision: string | undefined;
  /** Whether the windows stay when this definition opens an epoch. */
  readonly keepWindows: boolean;
}

/** Taken deltas that are kept: a server that comes back from its disk may have lost the last seconds. */
const MOST_KEPT = 16;
/** Deltas that wait. One is cut at each change of the rollout; all else adds up in the next one. */
const MOST_WAITING = 64;

interface Waiting {
  readonly seat: DeltaEpoch;
  readonly delta: OutcomeDelta;
}

/**
 * What a process has to send, in order and numbered, so that the server can tell a delta that comes twice or is missing.
 * Bounded: what happens during an outage adds up in the store until there is room.
 */
export class Outbox {
  readonly #waiting: Waiting[] = [];
  #unanswered: FlushedDelta | undefined;
  #kept: FlushedDelta[] = [];
  #again: FlushedDelta[] = [];
  #sequence = 0;
  #lost = 0;

  /** Whether everything has been taken. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#unanswered === undefined && this.#again.length === 0;
  }

  /** Of the first delta whose epoch is not known yet; undefined when there is none. */
  get unassigned(): DeltaEpoch | undefined {
    return this.#waiting.find(({ seat }) => seat.epoch === undefined)?.seat;
  }

  /** The number of the latest delta that was made ready to send. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Deltas that could not be kept or sent again. */
  get lost(): number {
    return this.#lost;
  }

  add(seat: DeltaEpoch, delta: OutcomeDelta): void {
    this.#waiting.push({ seat, delta });
    if (this.#waiting.length <= MOST_WAITING) return;
    this.#waiting.shift();
    this.#lost++;
  }

  /** What to send now: the same again until it is answered; undefined when there is nothing, or its epoch is not known yet. */
  next(): FlushedDelta | undefined {
    this.#unanswered ??= this.#again.shift();
    if (this.#unanswered === undefined) {
      const first = this.#waiting[0];
      if (first?.seat.epoch === undefined) return undefined;
      this.#waiting.shift();
      this.#unanswered = flushed(++this.#sequence, first.seat.epoch, first.delta);
    }
    return this.#unanswered;
  }

  /** The server has everything up to this number. */
  taken(lastSequence: number): void {
    const sent = this.#unanswered;
    if (sent === undefined || sent.sequence > lastSequence) return;
    this.#kept.push(sent);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
    this.#unanswered = undefined;
  }

  /** The server has lost what came after this number: that is sent again, as far as it is kept. */
  rewind(lastSequence: number): void {
    const sent = this.#unanswered;
    if (sent === undefined) return;
    const missing = this.#kept.filter(({ sequence }) => sequence > lastSequence);
    this.#kept = this.#kept.filter(({ sequence }) => sequence <= lastSequence);
    const all = [...missing, sent, ...this.#again];
    const gap = all[0]!.sequence - lastSequence - 1;
    this.#lost += gap;
    this.#again = gap === 0 ? all : [{ ...all[0]!, skipsLost: true }, ...all.slice(1)];
    this.#unanswered = undefined;
  }

  /** Taken deltas are no longer sent again: the server may have forgotten this process, but not what it sent. */
  forgetTaken(): void {
    this.#kept = [];
  }

  /** Begins anew with the number one. */
  reset(): void {
    this.#waiting.length = 0;
    this.#unanswered = undefined;
    this.#kept = [];
    this.#again = [];
    this.#sequence = 0;
  }
}

function flushed(sequence: number, epoch: number, delta: OutcomeDelta): FlushedDelta {
  const text = JSON.stringify({ ...delta, epoch });
  return { sequence, epoch, text, totals: totalsOf(delta), skipsLost: false };
}

/** What a delta adds to the totals of its epoch; documented in docs/fleet.md. */
function totalsOf(delta: OutcomeDelta): (readonly [string, string])[] {
  const totals: (readonly [string, string])[] = [];
  const add = (field: string, by: number) => {
    if (by > 0) totals.push([field, String(by)]);
  };
  ARMS.forEach((arm, armIndex) => {
    COUNT_FIELDS.forEach((field, index) => {
      add(`${field}:${arm}`, delta.counts[armIndex * COUNT_FIELDS.length + index] ?? 0);
    });
    const { sumMs, buckets } = delta.latency[arm];
    for (const [slot, count] of buckets) add(`latency:${arm}:${slot}`, count);
    // With its point, it is added up as a number with fractions.
    if (sumMs > 0) totals.push([`latencySumMs:${arm}`, sumMs.toFixed(3)]);
    for (const [errorType, count] of delta.errorTypes[arm]) add(`error:${arm}:${errorType}`, count);
  });
  add('invalidDurations', delta.invalidDurations);
  return totals;
}
