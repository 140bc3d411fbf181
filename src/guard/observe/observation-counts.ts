import type { Exposure, Outcome } from '../../model/shapes.js';

/** What OpenFeature's client answers as the reason where no provider is registered. */
const NO_PROVIDER = 'No-op';

/**
 * Whether what this process observes fits together: evaluations that get outcomes, and outcomes that belong to an
 * evaluation. Counts only: it runs within the user's request.
 */
export class Observations {
  /** Exposures of the treatment since its last outcome. */
  #unanswered = 0;
  /** Exposures and outcomes of the treatment up to its last outcome. */
  #answered = 0;
  #outcomes = 0;
  #failedEvaluations = 0;
  #evaluationError: string | undefined;
  #unattributed = 0;
  #unrecorded = 0;
  #hasObserved = false;

  exposed({ arm, errorCode, reason }: Exposure): void {
    this.#hasObserved = true;
    if (arm === 'treatment') this.#unanswered += 1;
    if (errorCode === undefined && reason !== NO_PROVIDER) {
      this.#failedEvaluations = 0;
      return;
    }
    this.#failedEvaluations += 1;
    this.#evaluationError = errorCode ?? 'no provider is registered';
  }

  /** The treatment of this exposure never began. */
  withdrawn(): void {
    this.#unanswered = Math.max(0, this.#unanswered - 1);
  }

  /** An outcome is about to be recorded. */
  reported(): void {
    this.#unrecorded += 1;
  }

  recorded({ exposure }: Outcome): void {
    this.#unrecorded = 0;
    this.#unattributed = 0;
    if (exposure.arm !== 'treatment') return;
    this.#outcomes += 1;
    this.#answered += this.#unanswered;
    this.#unanswered = 0;
  }

  /** An outcome came for which no evaluation is known. */
  unattributed(): void {
    this.#hasObserved = true;
    this.#unattributed += 1;
  }

  /** Another rollout begins. */
  reset(): void {
    this.#unanswered = 0;
    this.#answered = 0;
    this.#outcomes = 0;
    this.#failedEvaluations = 0;
    this.#unattributed = 0;
  }

  get counts(): ObservationCounts {
    // Where few of the evaluations lead to an operation, many without an outcome are nothing unusual.
    const share =
      this.#outcomes === 0 ? undefined : Math.min(1, this.#outcomes / Math.max(1, this.#answered));
    return {
      unanswered: this.#unanswered,
      expectedOutcomes: share === undefined ? undefined : share * this.#unanswered,
      failedEvaluations: this.#failedEvaluations,
      evaluationError: this.#evaluationError,
      unattributed: this.#unattributed,
      hasObserved: this.#hasObserved,
      unrecorded: this.#unrecorded,
    };
  }
}

/** What {@link Observations} has counted. */
export interface ObservationCounts {
  /** Exposures of the treatment since its last outcome. */
  readonly unanswered: number;
  /** The outcomes that so many exposures had before; undefined before the first outcome. */
  readonly expectedOutcomes: number | undefined;
  /** Evaluations in a row that failed, and how the last one did. */
  readonly failedEvaluations: number;
  readonly evaluationError: string | undefined;
  /** Outcomes in a row for which no evaluation is known. */
  readonly unattributed: number;
  /** Whether there has ever been an evaluation in this process; a controller has none. */
  readonly hasObserved: boolean;
  /** Outcomes in a row that could not be recorded. */
  readonly unrecorded: number;
}
