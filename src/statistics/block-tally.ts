import type { Arm, Trials } from '../model/shapes.js';
import type { BlockCounts } from './evidence-state.js';

/** Counts of both arms that grow in place. */
export class BlockTally {
  treatmentTrials = 0;
  treatmentFailures = 0;
  controlTrials = 0;
  controlFailures = 0;

  /** Trials of both arms. */
  get trials(): number {
    return this.treatmentTrials + this.controlTrials;
  }

  /** Failures of both arms. */
  get failures(): number {
    return this.treatmentFailures + this.controlFailures;
  }

  /** Counts one outcome. */
  count(arm: Arm, failed: boolean): void {
    if (arm === 'treatment') {
      this.treatmentTrials++;
      if (failed) this.treatmentFailures++;
    } else {
      this.controlTrials++;
      if (failed) this.controlFailures++;
    }
  }

  /** Adds counts. */
  add({ treatment, control }: BlockCounts): void {
    this.treatmentTrials += treatment.trials;
    this.treatmentFailures += treatment.failures;
    this.controlTrials += control.trials;
    this.controlFailures += control.failures;
  }

  /** Adds all of this to `other` and begins at zero again. */
  moveTo(other: BlockTally): void {
    other.treatmentTrials += this.treatmentTrials;
    other.treatmentFailures += this.treatmentFailures;
    other.controlTrials += this.controlTrials;
    other.controlFailures += this.controlFailures;
    this.clear();
  }

  /** Begins at zero again. */
  clear(): void {
    this.treatmentTrials = 0;
    this.treatmentFailures = 0;
    this.controlTrials = 0;
    this.controlFailures = 0;
  }

  /** The counts as plain JSON. */
  toJSON(): BlockCounts {
    return {
      treatment: { trials: this.treatmentTrials, failures: this.treatmentFailures },
      control: { trials: this.controlTrials, failures: this.controlFailures },
    };
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
