import type { Arm, Evidence, QuantileEvidence, Trials } from '../model/shapes.js';
import type { BlockCounts, EpochEvidence, EvidenceCounts, EvidenceTestState } from './evidence-state.js';

/** Where quantiles of durations come from; a latency histogram fits. */
export interface QuantileSource {
  /** How many durations it has seen. */
  readonly count: number;
  /** The `q`-quantile in milliseconds, `0 < q < 1`; undefined while there is none. */
  quantile(q: number): number | undefined;
}

/** What the tests of an epoch use beside its outcomes. */
export interface EvidenceSources {
  /** The epoch's durations of successes, by arm. */
  readonly latency: Readonly<Record<Arm, QuantileSource>>;
  /** The counts of the control in the last epoch in which it had traffic. */
  readonly frozenControl: Trials | undefined;
}

/** The part of {@link Evidence} that differs from test to test. */
export type TestEvidence = Pick<
  Evidence,
  'logE' | 'peakLogE' | 'logThreshold' | 'breached' | 'counts' | 'frozenLimit' | 'quantiles'
>;

/** The test of one trigger, fed with the outcomes that count. */
export interface EvidenceTest {
  /** @param randomised - The arm was drawn; otherwise the treatment is at 100 %. */
  observe(arm: Arm, failed: boolean, randomised: boolean, durationMs: number | undefined): void;
  merge(counts: EvidenceCounts): void;
  /** Called by a clock. */
  closeBlock(): void;
  snapshot(epoch: EpochEvidence): TestEvidence;
  /** The state as plain JSON. */
  toJSON(): EvidenceTestState;
  /**
   * Continues from the state of a test with the same request.
   *
   * @throws RangeError for an invalid state; the test is unusable then.
   */
  restore(state: EvidenceTestState): void;
}

/** A test's result as a snapshot shows it. */
export function testEvidence(
  test: Pick<Evidence, 'logE' | 'peakLogE' | 'logThreshold' | 'breached'>,
  counts: BlockCounts,
  frozenLimit?: number,
  quantiles?: readonly QuantileEvidence[],
): TestEvidence {
  const { logE, peakLogE, logThreshold, breached } = test;
  return { logE, peakLogE, logThreshold, breached, counts, frozenLimit, quantiles };
}
