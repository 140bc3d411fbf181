import type { RecentOutcomes } from '../model/snapshot.js';

/** Outcomes that are remembered. */
const RECENT_OUTCOMES = 20;
const MAX_AGE_MS = 86_400_000;
/** Units that are distinguished: with so many, a draw proves something. */
export const MAX_UNITS = 8;

/** The treatment's last 20 counted outcomes, and its last 8 distinct units: what sliding windows cannot say at a low rate. */
export class RecentTreatment {
  /** When they ended, oldest first; negative for a failure: times are positive. */
  #outcomes: number[] = [];
  #unitHashes = new Uint32Array(MAX_UNITS);
  #unitAt = new Float64Array(MAX_UNITS).fill(Number.NEGATIVE_INFINITY);
  /** 1 for a unit that was touched here since the last {@link takeChanges}. */
  #unitIsNew = new Uint8Array(MAX_UNITS);
  /** Of the outcomes, what no {@link takeChanges} has returned and what came from no other process. */
  #changes: number[] = [];

  /** @param unit - 0 when each outcome is a unit of its own. */
  add(unit: number, failed: boolean, at: number): void {
    const signed = failed ? -at : at;
    push(this.#outcomes, signed);
    push(this.#changes, signed);
    this.#touch(unit, at, 1);
  }

  /** Distinct units since a time, up to 8. */
  unitsSince(time: number): number {
    let units = 0;
    for (let i = 0; i < MAX_UNITS; i++) if (this.#unitAt[i]! >= time) units++;
    return units;
  }

  outcomes(now: number): RecentOutcomes {
    let trials = 0;
    let failures = 0;
    let since: number | undefined;
    for (const at of this.#outcomes) {
      if (now - Math.abs(at) > MAX_AGE_MS) continue;
      trials += 1;
      if (at < 0) failures += 1;
      since ??= Math.abs(at);
    }
    return { trials, failures, since };
  }

  /** What was added here since the previous call. */
  takeChanges(): RecentChanges {
    const changes = { outcomes: this.#changes, units: this.#units((i) => this.#unitIsNew[i] === 1) };
    this.#changes = [];
    this.#unitIsNew.fill(0);
    return changes;
  }

  contents(): RecentChanges {
    return { outcomes: [...this.#outcomes], units: this.#units(() => true) };
  }

  /** Adds what another process added; no later {@link takeChanges} returns it. */
  addRemote({ outcomes, units }: RecentChanges): void {
    const merged = [...this.#outcomes, ...outcomes].sort((a, b) => Math.abs(a) - Math.abs(b));
    this.#outcomes = merged.slice(-RECENT_OUTCOMES);
    for (const [unit, at] of units) this.#touch(unit, at, 0);
  }

  clear(): void {
    this.#outcomes = [];
    this.#unitAt.fill(Number.NEGATIVE_INFINITY);
    this.#unitIsNew.fill(0);
    this.#changes = [];
  }

  #units(isWanted: (index: number) => boolean): [number, number][] {
    const units: [number, number][] = [];
    this.#unitAt.forEach((at, i) => {
      if (at > 0 && isWanted(i)) units.push([this.#unitHashes[i]!, at]);
    });
    return units;
  }

  #touch(unit: number, at: number, isNew: 0 | 1): void {
    let oldest = 0;
    for (let i = 0; i < MAX_UNITS; i++) {
      if (unit !== 0 && this.#unitHashes[i] === unit) {
        this.#unitAt[i] = Math.max(this.#unitAt[i]!, at);
        this.#unitIsNew[i]! |= isNew;
        return;
      }
      if (this.#unitAt[i]! < this.#unitAt[oldest]!) oldest = i;
    }
    if (at < this.#unitAt[oldest]!) return;
    this.#unitHashes[oldest] = unit;
    this.#unitAt[oldest] = at;
    this.#unitIsNew[oldest] = isNew;
  }
}

function push(list: number[], at: number): void {
  list.push(at);
  if (list.length > RECENT_OUTCOMES) list.shift();
}

/** Times of outcomes, negative for a failure, and units with the time of their latest outcome. */
interface RecentChanges {
  readonly outcomes: readonly number[];
  readonly units: readonly (readonly [unit: number, at: number])[];
}
