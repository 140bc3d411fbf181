import type { Arm, Evidence, QuantileEvidence } from '../flow.js';
import type { LatencyHistogram } from '../outcomes/latency-histogram.js';
import { type BlockCounts, countsSince } from './block-tally.js';
import type {
  EvidenceRequest,
  FailureRateRequest,
  FailureRegressionRequest,
  LatencyRegressionRequest,
} from './evidence-request.js';
import { FrozenControlTest } from './frozen-control.js';
import { LatencyTest } from './latency.js';
import { OneSampleTest } from './one-sample.js';
import type { Trials } from './parameters.js';
import { TwoSampleTest } from './two-sample.js';

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

/** The test of one trigger, fed with outcomes that count. */
export interface EvidenceTest {
  /** @param split - Chance decided the arm; otherwise everyone has the treatment. */
  observe(arm: Arm, failed: boolean, split: boolean, durationMs: number | undefined): void;
  merge(counts: EvidenceCounts): void;
  /** Told by a clock. */
  closeBlock(): void;
  snapshot(epoch: EpochEvidence): TestEvidence;
}

/** @throws {@link ConfigError} when the request has a parameter that cannot be. */
export function evidenceTest(request: EvidenceRequest, sources: EvidenceSources): EvidenceTest {
  switch (request.test) {
    case 'failure-regression':
      return new FailureRegression(request, sources.frozenControl);
    case 'failure-rate':
      return new FailureRate(request);
    case 'latency-regression':
      return new LatencyRegression(request, sources);
  }
}

/** Against the control while there is one, else against the control that was: only one of the two spends alpha. */
class FailureRegression implements EvidenceTest {
  readonly #comparison: TwoSampleTest;
  readonly #frozen: FrozenControlTest | undefined;

  constructor({ alpha, ratio }: FailureRegressionRequest, control: Trials | undefined) {
    this.#comparison = new TwoSampleTest({ alpha, ratio });
    if (control !== undefined) this.#frozen = new FrozenControlTest({ control, alpha, ratio });
  }

  observe(arm: Arm, failed: boolean, split: boolean): void {
    if (split) this.#comparison.observe(arm, failed);
    else this.#frozen?.observe(failed);
  }

  merge({ split, everyone }: EvidenceCounts): void {
    this.#comparison.observeCounts(split);
    this.#frozen?.observeCounts(everyone);
  }

  closeBlock(): void {
    this.#comparison.closeBlock();
  }

  snapshot({ split, everyone }: EpochEvidence): TestEvidence {
    const frozen = this.#frozen;
    if (everyone.trials === 0 || split.treatment.trials > 0) {
      return found(this.#comparison, split);
    }
    const counts = { treatment: everyone, control: frozen?.control ?? split.control };
    return frozen === undefined
      ? found(this.#comparison, counts)
      : found(frozen, counts, frozen.maxFailureRate);
  }
}

class FailureRate implements EvidenceTest {
  readonly #test: OneSampleTest;

  constructor({ alpha, maxFailureRate }: FailureRateRequest) {
    this.#test = new OneSampleTest({ alpha, maxFailureRate });
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
}

/** A latency test with the part of its exceedances that other processes have not been told of. */
export class LatencyRegression implements EvidenceTest {
  /** Equal for tests whose exceedances may be added up. */
  readonly key: string;
  readonly #test: LatencyTest;
  readonly #latency: EvidenceSources['latency'];
  #taken: readonly BlockCounts[] | undefined;

  constructor({ alpha, ratio }: LatencyRegressionRequest, { latency }: EvidenceSources) {
    this.#test = new LatencyTest({ alpha, ratio }, latency.control);
    this.#latency = latency;
    this.key = `${ratio} at ${this.#test.quantiles.join(',')}`;
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

  #unsent(): readonly BlockCounts[] {
    const taken = this.#taken;
    const { exceedances } = this.#test;
    return taken === undefined ? exceedances : exceedances.map((now, i) => countsSince(now, taken[i]!));
  }
}

function found(
  test: Pick<Evidence, 'logE' | 'peakLogE' | 'logThreshold' | 'breached'>,
  counts: BlockCounts,
  frozenLimit?: number,
  quantiles?: readonly QuantileEvidence[],
): TestEvidence {
  const { logE, peakLogE, logThreshold, breached } = test;
  return { logE, peakLogE, logThreshold, breached, counts, frozenLimit, quantiles };
}
