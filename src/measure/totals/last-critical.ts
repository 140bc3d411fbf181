import type { Snapshot } from '../../model/snapshot.js';
import { boundedErrorType } from '../error-counts.js';
import type { OutcomeDelta } from '../outcome-delta.js';

/** The latest critical error of the treatment. */
export class LastCritical {
  #latest: Snapshot['lastCritical'];
  #isTaken = false;

  get latest(): Snapshot['lastCritical'] {
    return this.#latest;
  }

  /** It, unless it is older. */
  since(time: number): Snapshot['lastCritical'] {
    return this.#latest !== undefined && this.#latest.at >= time ? this.#latest : undefined;
  }

  set(errorType: string, at: number): void {
    this.#latest = { errorType: boundedErrorType(errorType), at };
    this.#isTaken = false;
  }

  /** That of another process. */
  merge({ errorType, at }: NonNullable<OutcomeDelta['lastCritical']>, now: number): void {
    if (this.#latest !== undefined && this.#latest.at > at) return;
    this.#latest = { errorType: boundedErrorType(errorType), at: Math.min(at, now) };
    this.#isTaken = true;
  }

  /** What came since the previous call. */
  take(): Snapshot['lastCritical'] {
    const latest = this.#isTaken ? undefined : this.#latest;
    this.#isTaken = true;
    return latest;
  }

  clear(): void {
    this.#latest = undefined;
  }
}
