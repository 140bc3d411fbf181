/** A rule that is evaluated after every outcome. */
export interface Detector {
  /** @returns Whether the rule would stop the rollout now. */
  observe(treatment: boolean, failed: boolean): boolean;
}

/** "The success rate of the last 100 treatment outcomes is below 95 %", once there are `minOutcomes` of them. */
export class SuccessRateBelow implements Detector {
  readonly #last = new Uint8Array(100);
  readonly #minOutcomes: number;
  #seen = 0;
  #failures = 0;

  constructor(minOutcomes: number) {
    this.#minOutcomes = minOutcomes;
  }

  observe(treatment: boolean, failed: boolean): boolean {
    if (!treatment) return false;
    const slot = this.#seen % this.#last.length;
    this.#failures += Number(failed) - this.#last[slot]!;
    this.#last[slot] = Number(failed);
    this.#seen++;
    const outcomes = Math.min(this.#seen, this.#last.length);
    return outcomes >= this.#minOutcomes && this.#failures > 0.05 * outcomes;
  }
}

/** A one-sided z-test of two proportions at 5 %, repeated after every outcome once each arm has 30. */
export class RepeatedZTest implements Detector {
  #treatmentTrials = 0;
  #treatmentFailures = 0;
  #controlTrials = 0;
  #controlFailures = 0;

  observe(treatment: boolean, failed: boolean): boolean {
    if (treatment) {
      this.#treatmentTrials++;
      if (failed) this.#treatmentFailures++;
    } else {
      this.#controlTrials++;
      if (failed) this.#controlFailures++;
    }
    if (this.#treatmentTrials < 30 || this.#controlTrials < 30) return false;
    const difference =
      this.#treatmentFailures / this.#treatmentTrials - this.#controlFailures / this.#controlTrials;
    if (difference <= 0) return false;
    const pooled =
      (this.#treatmentFailures + this.#controlFailures) / (this.#treatmentTrials + this.#controlTrials);
    const variance = pooled * (1 - pooled) * (1 / this.#treatmentTrials + 1 / this.#controlTrials);
    return difference * difference > 1.645 ** 2 * variance;
  }
}

/** "The mean of the treatment's last 100 durations is above 120 % of the control's last 100." */
export class WindowMeanAbove {
  readonly #treatment = new MeanOfLast(100);
  readonly #control = new MeanOfLast(100);

  observe(treatment: boolean, durationMs: number): boolean {
    (treatment ? this.#treatment : this.#control).add(durationMs);
    return this.#treatment.full && this.#control.full && this.#treatment.sum > 1.2 * this.#control.sum;
  }
}

class MeanOfLast {
  readonly #last: Float64Array;
  #seen = 0;
  sum = 0;

  constructor(length: number) {
    this.#last = new Float64Array(length);
  }

  get full(): boolean {
    return this.#seen >= this.#last.length;
  }

  add(value: number): void {
    const slot = this.#seen++ % this.#last.length;
    this.sum += value - this.#last[slot]!;
    this.#last[slot] = value;
  }
}
