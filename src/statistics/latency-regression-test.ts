import type { Arm } from '../model/shapes.js';
import { type BlockCounts, countsSince } from './block-tally.js';
import type { LatencyRegressionRequest } from './evidence-request.js';
import {
  type EvidenceCounts,
  type EvidenceSources,
  type EvidenceTest,
  found,
  type LatencyRegressionState,
  type TestEvidence,
} from './evidence-test.js';
import { LatencyTest } from './latency.js';

/** A latency test with the part of its exceedances that other processes have not been told of. */
export class LatencyRegression implements EvidenceTest {
  /** Equal for tests whose exceedances may be added up. */
  readonly key: string;
  readonly #request: LatencyRegressionRequest;
  readonly #test: LatencyTest;
  readonly #latency: EvidenceSources['latency'];
  #taken: readonly BlockCounts[] | undefined;

  /** @throws {@link ConfigError} when the request has a parameter that cannot be. */
  constructor(request: LatencyRegressionRequest, { latency }: Pick<EvidenceSources, 'latency'>) {
    const { alpha, ratio } = request;
    this.#request = request;
    this.#test = new LatencyTest({ alpha, ratio }, latency.control);
    this.#latency = latency;
    this.key = `${ratio} at ${this.#test.quantiles.join(',')}`;
  }

  /** @throws {@link ConfigError} for a state that cannot be. */
  static restored(
    state: LatencyRegressionState,
    sources: Pick<EvidenceSources, 'latency'>,
  ): LatencyRegression {
    const restored = new LatencyRegression(state.request, sources);
    restored.#test.restore(state.latency);
    // What an earlier run counted, it has told.
    restored.#taken = restored.#test.exceedances;
    return restored;
  }

  observe(arm: Arm, failed: boolean, split: boolean, durationMs: number | undefined): void {
    if (split && !failed && durationMs !== undefined) this.#test.observe(arm, durationMs);
  }

  merge({ latency }: EvidenceCounts): void {
    const counts = latency.find(([key]) => key === this.key)?.[1];
    if (counts?.length !== this.#test.quantiles.length) return;
    const unsent = this.#unsent();
    this.#test.observeExceedances(counts);
    this.#taken = this.#test.exceedances.map((now, i) => countsSince(now, unsent[i]!));
  }

  closeBlock(): void {
    this.#test.closeBlock();
  }

  /** What was counted here since the previous call, by quantile. */
  takeChanges(): readonly BlockCounts[] {
    const unsent = this.#unsent();
    this.#taken = this.#test.exceedances;
    return unsent;
  }

  snapshot(): TestEvidence {
    const { logEs, exceedances, thresholdsMs, ratio, quantiles } = this.#test;
    const strongest = logEs.indexOf(Math.max(...logEs));
    const compared = thresholdsMs.map((controlMs, i) => ({
      quantile: quantiles[i]!,
      logE: logEs[i]!,
      controlMs,
      limitMs: ratio * controlMs,
      treatmentMs: this.#latency.treatment.quantile(quantiles[i]!),
      counts: exceedances[i]!,
    }));
    return found(this.#test, exceedances[strongest]!, undefined, compared);
  }

  toJSON(): LatencyRegressionState {
    return { request: this.#request, latency: this.#test.toJSON() };
  }

  #unsent(): readonly BlockCounts[] {
    const taken = this.#taken;
    const { exceedances } = this.#test;
    return taken === undefined ? exceedances : exceedances.map((now, i) => countsSince(now, taken[i]!));
  }
}
