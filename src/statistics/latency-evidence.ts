import type { Arm } from '../model/shapes.js';
import { countsSince } from './block-tally.js';
import type {
  BlockCounts,
  EvidenceCounts,
  LatencyRegressionRequest,
  LatencyRegressionState,
} from './evidence-state.js';
import { type EvidenceSources, type EvidenceTest, type TestEvidence, testEvidence } from './evidence-test.js';
import { LATENCY_QUANTILES, LatencyTest } from './latency.js';

/** A latency test, with the part of its exceedances that is not in a delta yet. */
export class LatencyRegression implements EvidenceTest {
  /** Equal for tests whose exceedances may be added up. */
  readonly key: string;
  readonly #request: LatencyRegressionRequest;
  readonly #test: LatencyTest;
  readonly #latency: EvidenceSources['latency'];
  #taken: readonly BlockCounts[] | undefined;

  constructor(request: LatencyRegressionRequest, { latency }: Pick<EvidenceSources, 'latency'>) {
    this.#request = request;
    this.#test = new LatencyTest(request, latency.control);
    this.#latency = latency;
    this.key = `${request.ratio} at ${LATENCY_QUANTILES.join(',')}`;
  }

  /** @throws RangeError for an invalid state. */
  static restored(
    state: LatencyRegressionState,
    sources: Pick<EvidenceSources, 'latency'>,
  ): LatencyRegression {
    const restored = new LatencyRegression(state.request, sources);
    restored.#test.restore(state.latency);
    // The counts of an earlier run were in its deltas.
    restored.#taken = restored.#test.exceedances;
    return restored;
  }

  observe(arm: Arm, failed: boolean, randomised: boolean, durationMs: number | undefined): void {
    if (randomised && !failed && durationMs !== undefined) this.#test.observe(arm, durationMs);
  }

  merge({ latency }: EvidenceCounts): void {
    const counts = latency.find(([key]) => key === this.key)?.[1];
    if (counts?.length !== LATENCY_QUANTILES.length) return;
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
    const { logEs, exceedances, thresholdsMs, ratio } = this.#test;
    const strongest = logEs.indexOf(Math.max(...logEs));
    const compared = thresholdsMs.map((controlMs, i) => ({
      quantile: LATENCY_QUANTILES[i]!,
      logE: logEs[i]!,
      controlMs,
      limitMs: ratio * controlMs,
      treatmentMs: this.#latency.treatment.quantile(LATENCY_QUANTILES[i]!),
      counts: exceedances[i]!,
    }));
    return testEvidence(this.#test, exceedances[strongest]!, undefined, compared);
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
