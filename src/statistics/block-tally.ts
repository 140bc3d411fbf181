import type { Arm, Trials } from '../model/shapes.js';
import type { BlockCounts } from './evidence-state.js';

export const NO_TRIALS: Trials = { trials: 0, failures: 0 };
export const NO_COUNTS: BlockCounts = { treatment: NO_TRIALS, control: NO_TRIALS };

/** Counts of both arms that grow in place. */
export class BlockTally implements BlockCounts {
  readonly treatment = { trials: 0, failures: 0 };
  readonly control = { trials: 0, failures: 0 };

  /** Counts one outcome. */
  count(arm: Arm, failed: boolean): void {
    const counts = arm === 'treatment' ? this.treatment : this.control;
    counts.trials++;
    if (failed) counts.failures++;
  }

  /** Adds counts. */
  add({ treatment, control }: BlockCounts): void {
    this.treatment.trials += treatment.trials;
    this.treatment.failures += treatment.failures;
    this.control.trials += control.trials;
    this.control.failures += control.failures;
  }

  /** Replaces the counts. */
  set({ treatment, control }: BlockCounts): void {
    this.treatment.trials = treatment.trials;
    this.treatment.failures = treatment.failures;
    this.control.trials = control.trials;
    this.control.failures = control.failures;
  }

  /** A copy of the counts. */
  toJSON(): BlockCounts {
    return { treatment: { ...this.treatment }, control: { ...this.control } };
  }
}

/** The sum of counts; with a factor of −1, what came since `b`. */
export function addCounts(a: BlockCounts, b: BlockCounts, factor: 1 | -1 = 1): BlockCounts {
  return {
    treatment: addTrials(a.treatment, b.treatment, factor),
    control: addTrials(a.control, b.control, factor),
  };
}

/** The same of one arm. */
export function addTrials(a: Trials, b: Trials, factor: 1 | -1 = 1): Trials {
  return { trials: a.trials + factor * b.trials, failures: a.failures + factor * b.failures };
}
