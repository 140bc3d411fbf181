import { COUNT_FIELDS } from '../measure/arm-counts.js';
import {
  type EvidenceDelta,
  isEmptyDelta,
  joinEvidence,
  type OutcomeDelta,
  parseOutcomeDelta,
} from '../measure/outcome-delta.js';
import { ARMS } from '../model/shapes.js';
import { parseJson } from '../support/json.js';
import type { FlushedDelta } from './fleet-link.js';

/** An epoch of this process, from one change of the rollout to the next. */
export interface LocalEpoch {
  /** The fleet's epoch that it belongs to; undefined until the fleet has assigned one. */
  assigned: number | undefined;
  /** The definition (see `FlagFacts.revision`) that the process had; undefined before the first. */
  revision: string | undefined;
  /** Whether the windows stay when this definition opens an epoch. */
  readonly keepWindows: boolean;
}

/** An epoch that the fleet has not assigned yet. */
export function localEpoch(revision: string | undefined, keepWindows: boolean): LocalEpoch {
  return { assigned: undefined, revision, keepWindows };
}

/** Accepted deltas that are kept: a server that restarts from its disk may have lost the last seconds. */
const MAX_ACCEPTED = 16;
/** Well within the day after which the server forgets a process. */
const FORGET_ACCEPTED_MS = 12 * 3_600_000;
/** Deltas that wait. One is added at each change of the rollout; all else adds up in the next one. */
const MAX_WAITING = 64;

/**
 * What a process has to send, in order and numbered, so that the server notices a delta that comes twice or is missing.
 * Bounded: what is recorded during an outage adds up in the store until there is room.
 */
export class Outbox {
  readonly #waiting: { readonly epoch: LocalEpoch; readonly delta: OutcomeDelta }[] = [];
  /** Numbered deltas: those that were accepted, then those to send. */
  #numbered: FlushedDelta[] = [];
  /** How many of the numbered ones were accepted. */
  #accepted = 0;
  #sequence = 0;
  #lost = 0;
  readonly #serviceVersion: string | undefined;

  constructor(serviceVersion?: string) {
    this.#serviceVersion = serviceVersion;
  }

  /** Whether everything has been accepted. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#accepted === this.#numbered.length;
  }

  /** The number of the last delta that was accepted; 0 before the first. */
  get lastAccepted(): number {
    return (this.#numbered[this.#accepted]?.sequence ?? this.#sequence + 1) - 1;
  }

  /** Whether more waits than what {@link next} returned. */
  get hasMore(): boolean {
    return this.#waiting.length > 0 || this.#accepted + 1 < this.#numbered.length;
  }

  /** The epoch of the first delta that the fleet has assigned none; undefined when there is none. */
  get unassigned(): LocalEpoch | undefined {
    return this.#waiting.find(({ epoch }) => epoch.assigned === undefined)?.epoch;
  }

  /** Deltas that could not be kept. */
  get lost(): number {
    return this.#lost;
  }

  add(epoch: LocalEpoch, delta: OutcomeDelta): void {
    this.#waiting.push({ epoch, delta: { ...delta, serviceVersion: this.#serviceVersion } });
    if (this.#waiting.length <= MAX_WAITING) return;
    this.#waiting.shift();
    this.#lost++;
  }

  /** What to send now: the same delta until the server replies; undefined when there is none, or its epoch is not assigned yet. */
  next(): FlushedDelta | undefined {
    if (this.#accepted === this.#numbered.length) {
      const first = this.#waiting[0];
      if (first?.epoch.assigned === undefined) return undefined;
      this.#waiting.shift();
      this.#numbered.push(flushed(++this.#sequence, first.epoch.assigned, first.delta));
    }
    return this.#numbered[this.#accepted];
  }

  /** The server has everything up to this number. */
  onAccepted(lastSequence: number): void {
    const sent = this.#numbered[this.#accepted];
    if (sent === undefined || sent.sequence > lastSequence) return;
    if (this.#accepted === MAX_ACCEPTED) this.#numbered.shift();
    else this.#accepted++;
  }

  /**
   * The server has lost everything after this number: that is sent again.
   * @returns `false` when not all of it is kept.
   */
  rewind(lastSequence: number): boolean {
    const next = this.#numbered.findIndex(({ sequence }) => sequence === lastSequence + 1);
    if (next < 0) return false;
    this.#accepted = next;
    return true;
  }

  /** After a day of silence the server has forgotten this process, but not what it sent: that is not sent again. */
  onReplyAfter(silentMs: number): void {
    if (silentMs <= FORGET_ACCEPTED_MS) return;
    this.#numbered.splice(0, this.#accepted);
    this.#accepted = 0;
  }

  /** What the deltas of an epoch that are kept here, accepted or not, have for the sequential tests. */
  #evidenceOf(epoch: LocalEpoch): EvidenceDelta {
    const numbered = this.#numbered.filter((each) => each.epoch === epoch.assigned);
    const waiting = this.#waiting.filter((each) => each.epoch === epoch);
    const deltas = [
      ...numbered.map(({ text }) => parseOutcomeDelta(parseJson(text))),
      ...waiting.map(({ delta }) => delta),
    ];
    return joinEvidence(deltas.flatMap((delta) => delta?.evidence ?? []));
  }

  /**
   * The server has lost its data: starts again with the number one, and with everything that this process has of the epoch.
   *
   * @param lost - What the epoch was when it was sent before.
   */
  refill(lost: LocalEpoch, epoch: LocalEpoch, contents: OutcomeDelta): void {
    const delta = { ...contents, evidence: this.#evidenceOf(lost) };
    this.#waiting.length = 0;
    this.#numbered = [];
    this.#accepted = 0;
    this.#sequence = 0;
    if (!isEmptyDelta(delta)) this.add(epoch, delta);
  }
}

function flushed(sequence: number, epoch: number, delta: OutcomeDelta): FlushedDelta {
  const text = JSON.stringify({ ...delta, epoch });
  return { sequence, epoch, text, totals: totalsOf(delta) };
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
