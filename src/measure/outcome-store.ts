import type { Baseline, Exposure, Outcome, Snapshot } from '../model/shapes.js';
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
  /** Notes that none is awaited any more, though the exposure was noted and had no outcome. */
  settle(exposure: Exposure): void;
  /** Counts a complaint, at `at`, of the user of this exposure. It counts in the windows and totals in which an outcome would. */
  recordComplaint(exposure: Exposure, at: number): void;
  /** Adds a sample of this process's memory, in bytes. A sample that is no positive number is left out. */
  recordMemory(bytes: number, at: number): void;
  /** Sets what the memory normally is, in bytes, instead of what this process's first samples said. */
  setMemoryBaseline(bytes: number): void;
  /**
   * Sets what was normal earlier: it comes with each snapshot, and its memory, if there is one, replaces the baseline of
   * this process's first samples.
   */
  setBaseline(baseline: Baseline): void;
  /** The state at `now`: windows have expired up to it. */
  snapshot(now: number): Snapshot;
  /** Starts an epoch: totals and evidence begin at zero, and the control so far is frozen; the windows are emptied too unless `keepWindows`. */
  beginEpoch(epoch: number, at: number, options: { readonly keepWindows: boolean }): void;
  /**
   * What was recorded here since the previous call; undefined when nothing was. What the totals got before
   * `beginEpoch` and was not taken by then is lost to the receiver: take a delta first.
   *
   * @param options.keys - Whether the delta says which targeting keys have counted, so that they count nowhere else. It then
   * grows with the number of users. @default true
   */
  takeDelta(now: number, options?: { readonly keys?: boolean }): OutcomeDelta | undefined;
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
