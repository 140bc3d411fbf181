import type { Arm } from '../model/shapes.js';
import type { FailureRateRequest } from './evidence-request.js';
import {
  type EpochEvidence,
  type EvidenceCounts,
  type EvidenceTest,
  type FailureRateState,
  found,
  type TestEvidence,
} from './evidence-test.js';
import { OneSampleTest } from './one-sample.js';

/** The treatment against a limit, whoever has it. */
export class FailureRate implements EvidenceTest {
  readonly #request: FailureRateRequest;
  readonly #test: OneSampleTest;

  /** @throws {@link ConfigError} when the request has a parameter that cannot be. */
  constructor(request: FailureRateRequest) {
    const { alpha, maxFailureRate } = request;
    this.#request = request;
    this.#test = new OneSampleTest({ alpha, maxFailureRate });
  }

  /** @throws {@link ConfigError} for a state that cannot be. */
  static restored({ request, limit }: FailureRateState): FailureRate {
    const restored = new FailureRate(request);
    restored.#test.restore(limit);
    return restored;
  }

  observe(arm: Arm, failed: boolean): void {
    if (arm === 'treatment') this.#test.observe(failed);
  }

  merge({ split: { treatment }, everyone }: EvidenceCounts): void {
    this.#test.observeCounts(treatment);
    this.#test.observeCounts(everyone);
  }

  closeBlock(): void {}

  snapshot({ split }: EpochEvidence): TestEvidence {
    return found(this.#test, { treatment: this.#test.totals, control: split.control });
  }

  toJSON(): FailureRateState {
    return { request: this.#request, limit: this.#test.toJSON() };
  }
}
