import { z } from 'zod';
import type { SettledOutcome } from '../../statistics/rollout-evidence.js';

/** Results in the order of their codes. */
const RESULTS = ['success', 'failure', 'expected', 'aborted', 'open', 'unreported'] as const;

/** Of one delta: outcomes that are no plain success, and the sample of all. */
const MAX_EVENTS = 256;
const MAX_SAMPLED = 32;

/** Lists in which nothing but numbers are sent: a delta is sent every second by every process. */
export const settledEntrySchema = z
  .tuple([
    z.int().min(0).max(0xffff_ffff),
    z.number(),
    z.number().min(0).max(1),
    z
      .int()
      .min(0)
      .max(RESULTS.length * 8 - 1),
    z.number().min(-1),
    z.number().min(0),
  ])
  .readonly();

/**
 * A settled outcome: the hash of its unit, when it was exposed, its chance, `8·result + 4·treated + 2·fallback + retried`, its duration
 * in milliseconds (−1: not measured) and its weight (0: it is sent for its event alone).
 */
export type SettledEntry = z.infer<typeof settledEntrySchema>;

/**
 * What one process sends of its settled outcomes, however many there are: every one that is no plain success, and a sample of all,
 * with the number of outcomes that each stands for. Both are bounded: beyond 256 events, those of the units with the lowest hashes are
 * sent; beyond 32 in the sample, it is halved. Neither depends on the arm.
 *
 * Outcomes are sampled, not units: where a few units make most of the traffic, a sample of units may miss all of it.
 */
export class SettledSample {
  #events: SettledEntry[] = [];
  #sampled: Sampled[] = [];
  /** Outcomes are sampled the highest bits of whose key, so many, are 0. */
  #shift = 0;
  #dropped = 0;
  /** The key of the latest outcome: multiples of the golden ratio are spread evenly, whatever the pattern of the arms. */
  #key = 0;

  add(outcome: SettledOutcome): void {
    const { result, fallback, retried } = outcome;
    this.#key = (this.#key + 0x9e37_79b9) >>> 0;
    if (this.#isSampled(this.#key)) {
      this.#sampled.push({ key: this.#key, entry: entryOf(outcome, 2 ** this.#shift) });
      if (this.#sampled.length > MAX_SAMPLED) this.#halve();
    } else if (result !== 'success' || fallback || retried) {
      this.#events.push(entryOf(outcome, 0));
      // A guard of its own sends nothing, and takes nothing.
      if (this.#events.length > 4 * MAX_EVENTS) this.#trim();
    }
  }

  /** What came since the previous call, in order, and how many events found no room. */
  take(): { readonly entries: readonly SettledEntry[]; readonly dropped: number } {
    this.#trim();
    const dropped = this.#dropped;
    const entries = [...this.#events, ...this.#sampled.map(({ entry }) => entry)].sort((a, b) => a[1] - b[1]);
    const wasFull = this.#sampled.length > MAX_SAMPLED / 4;
    this.clear();
    if (!wasFull && this.#shift > 0) this.#shift -= 1;
    return { entries, dropped };
  }

  clear(): void {
    this.#events = [];
    this.#sampled = [];
    this.#dropped = 0;
  }

  #isSampled(key: number): boolean {
    return this.#shift === 0 || key >>> (32 - this.#shift) === 0;
  }

  #trim(): void {
    if (this.#events.length <= MAX_EVENTS) return;
    this.#events.sort(([a], [b]) => a - b);
    this.#dropped += this.#events.length - MAX_EVENTS;
    this.#events.length = MAX_EVENTS;
  }

  #halve(): void {
    this.#shift += 1;
    const all = this.#sampled;
    this.#sampled = [];
    for (const { key, entry } of all) {
      const [unit, at, chance, code, durationMs, weight] = entry;
      if (this.#isSampled(key))
        this.#sampled.push({ key, entry: [unit, at, chance, code, durationMs, weight * 2] });
      else if (code >= 8 || (code & 3) !== 0) this.#events.push([unit, at, chance, code, durationMs, 0]);
    }
  }
}

/** An outcome, and by what it is sampled. */
interface Sampled {
  readonly key: number;
  readonly entry: SettledEntry;
}

function entryOf(outcome: SettledOutcome, weight: number): SettledEntry {
  const { unit, at, chance, result, treated, fallback, retried, durationMs } = outcome;
  const code = RESULTS.indexOf(result) * 8 + (treated ? 4 : 0) + (fallback ? 2 : 0) + (retried ? 1 : 0);
  return [unit, at, chance, code, Number.isFinite(durationMs) && durationMs >= 0 ? durationMs : -1, weight];
}

/** The outcome of an entry. */
export function outcomeOfEntry([unit, at, chance, code, durationMs, weight]: SettledEntry): SettledOutcome {
  return {
    unit,
    at,
    chance,
    treated: (code & 4) !== 0,
    result: RESULTS[code >> 3]!,
    fallback: (code & 2) !== 0,
    retried: (code & 1) !== 0,
    durationMs: durationMs < 0 ? Number.NaN : durationMs,
    weight,
    evidence: 'all',
  };
}
