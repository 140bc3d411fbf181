import type { LatencyHistogram } from '../measure/latency-histogram.js';
import type { Arm, Evidence, QuantileEvidence } from '../model/shapes.js';
import type { BlockCounts } from './block-tally.js';
import type {
  EvidenceRequest,
  FailureRateRequest,
  FailureRegressionRequest,
  LatencyRegressionRequest,
} from './evidence-request.js';
import type { FrozenControlTestState } from './frozen-control.js';
import type { LatencyTestState } from './latency.js';
import type { OneSampleTestState } from './one-sample.js';
import type { Trials } from './parameters.js';
import type { TwoSampleTestState } from './two-sample.js';

/** What all tests of an epoch share. */
export interface EpochEvidence {
  /** Outcomes whose arm chance decided. */
  readonly split: BlockCounts;
  /** Outcomes of the treatment while everyone had it. */
  readonly everyone: Trials;
}

/** What a test is told of counts from elsewhere. */
export interface EvidenceCounts extends EpochEvidence {
  /** Exceedances by quantile, for each kind of latency test. */
  readonly latency: readonly (readonly [key: string, counts: readonly BlockCounts[]])[];
}

/** Where the tests of an epoch look beside the outcomes themselves. */
export interface EvidenceSources {
  /** The epoch's durations of successes, by arm. */
  readonly latency: Readonly<Record<Arm, LatencyHistogram>>;
  /** What the control did in the last epoch in which it had traffic. */
  readonly frozenControl: Trials | undefined;
}

/** The part of {@link Evidence} that differs from test to test. */
export type TestEvidence = Pick<
  Evidence,
  'logE' | 'peakLogE' | 'logThreshold' | 'breached' | 'counts' | 'frozenLimit' | 'quantiles'
>;

/** A test as plain JSON, with what it was asked: its evidence answers no other question. */
export type EvidenceTestState = FailureRegressionState | FailureRateState | LatencyRegressionState;

/** See {@link EvidenceTestState}. */
export interface FailureRegressionState {
  readonly request: FailureRegressionRequest;
  readonly comparison: TwoSampleTestState;
  readonly frozen?: FrozenControlTestState | undefined;
  readonly peakLogE: number;
  /** Which comparison had breached, and at which threshold. */
  readonly breach?: { readonly frozen: boolean; readonly logThreshold: number } | undefined;
}

/** See {@link EvidenceTestState}. */
export interface FailureRateState {
  readonly request: FailureRateRequest;
  readonly limit: OneSampleTestState;
}

/** See {@link EvidenceTestState}. */
export interface LatencyRegressionState {
  readonly request: LatencyRegressionRequest;
  readonly latency: LatencyTestState;
}

/** The test of one trigger, fed with outcomes that count. */
export interface EvidenceTest {
  /** @param split - Chance decided the arm; otherwise everyone has the treatment. */
  observe(arm: Arm, failed: boolean, split: boolean, durationMs: number | undefined): void;
  merge(counts: EvidenceCounts): void;
  /** Told by a clock. */
  closeBlock(): void;
  snapshot(epoch: EpochEvidence): TestEvidence;
  /** The state as plain JSON. */
  toJSON(): EvidenceTestState;
}

/** Whether evidence for the one answers the other. */
export function isSameRequest(a: EvidenceRequest, b: EvidenceRequest): boolean {
  return a.test === b.test && a.alpha === b.alpha && toleranceOf(a) === toleranceOf(b);
}

/** What a test found, as a snapshot shows it. */
export function found(
  test: Pick<Evidence, 'logE' | 'peakLogE' | 'logThreshold' | 'breached'>,
  counts: BlockCounts,
  frozenLimit?: number,
  quantiles?: readonly QuantileEvidence[],
): TestEvidence {
  const { logE, peakLogE, logThreshold, breached } = test;
  return { logE, peakLogE, logThreshold, breached, counts, frozenLimit, quantiles };
}

function toleranceOf(request: EvidenceRequest): number {
  return request.test === 'failure-rate' ? request.maxFailureRate : request.ratio;
}
