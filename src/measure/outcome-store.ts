import type { Baseline } from '../model/baseline.js';
import type { Exposure, Outcome, Snapshot } from '../model/shapes.js';
import type { OutcomeDelta } from './outcome-delta.js';

/** Where outcomes add up. In this process by default; a fleet shares one behind the same interface. */
export interface OutcomeStore {
  /**
   * Folds an outcome in: memory only, no allocation kept. An outcome of an epoch before the last
   * `beginEpoch(…, { keepWindows: false })` is dropped; one of an earlier epoch otherwise counts in the windows only.
   */
  record(outcome: Outcome): void;
  /** Notes that an outcome is awaited for this exposure. Touches memory only; runs within every evaluation. */
  expose(exposure: Exposure): void;
  /** Notes that no outcome is awaited any more for an exposure without one. */
  settle(exposure: Exposure): void;
  /** Counts a complaint, at `at`, of the user of this exposure. It counts in the windows and totals in which an outcome would. */
  recordComplaint(exposure: Exposure, at: number): void;
  /** Adds a sample of this process's memory, in bytes. A sample that is no positive number is left out. */
  recordMemory(bytes: number, at: number): void;
  /**
   * Sets the baseline of an earlier time: it comes with each snapshot, and its memory, if there is one, replaces that of
   * this process's first samples.
   */
  setBaseline(baseline: Baseline): void;
  /** The state at `now`: windows have expired up to it. */
  snapshot(now: number): Snapshot;
  /** Starts an epoch: totals and evidence begin at zero, and the control so far is frozen; the windows are emptied too unless `keepWindows`. */
  beginEpoch(epoch: number, at: number, options: { readonly keepWindows: boolean }): void;
  /**
   * What was recorded here since the previous call; undefined when nothing was. Call it before `beginEpoch`: totals and
   * evidence of the epoch before are in no later delta.
   */
  takeDelta(now: number): OutcomeDelta | undefined;
  /**
   * Folds in what another process recorded. A late delta, of an earlier epoch, counts where an outcome of that epoch that
   * is recorded here would: in the windows, the exposures and as the last critical error, neither in totals nor in evidence.
   * Windows of lengths that this store does not keep are left out.
   *
   * @returns `false`, and nothing is folded in, when the delta is of another flag or version, of an epoch before the last
   * `beginEpoch(…, { keepWindows: false })`, or of one that has not begun here.
   */
  merge(delta: OutcomeDelta, now: number): boolean;
}
