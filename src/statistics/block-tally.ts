import type { Arm } from '../model/shapes.js';
import { checkTrials, type Trials } from './parameters.js';

/** Trials and failures of both arms. */
export type BlockCounts = Readonly<Record<Arm, Trials>>;

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

  /** Adds counts. @throws {@link ConfigError} for counts that cannot be; nothing is added then. */
  add({ treatment, control }: BlockCounts): void {
    checkTrials('counts of the treatment', treatment);
    checkTrials('counts of the control', control);
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

/** Counts that only ever grow: what came since `earlier`. */
export function countsSince(now: BlockCounts, earlier: BlockCounts): BlockCounts {
  return {
    treatment: trialsSince(now.treatment, earlier.treatment),
    control: trialsSince(now.control, earlier.control),
  };
}

function trialsSince(now: Trials, earlier: Trials): Trials {
  return { trials: now.trials - earlier.trials, failures: now.failures - earlier.failures };
}
