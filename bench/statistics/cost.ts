import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import type { Arm, Outcome } from '../../src/model/shapes.js';
import { OncePerKey } from '../../src/statistics/once-per-key.js';
import { OneSampleTest } from '../../src/statistics/one-sample.js';
import { SequentialEvidence } from '../../src/statistics/sequential-evidence.js';
import { TwoSampleTest } from '../../src/statistics/two-sample.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { type Contestant, compare } from '../harness.js';
import { latencyTest } from './simulation.js';

export interface Cost {
  readonly name: string;
  /** Median, in nanoseconds for one outcome. */
  readonly ns: number;
  /** What is promised, in nanoseconds. */
  readonly limit: number | undefined;
}

/** Outcomes are drawn beforehand, and few enough to stay in the cache as a live request does: only the tests are measured. */
const OUTCOMES = 1 << 12;

/** Nanoseconds for each outcome: the tests themselves, and what an outcome costs them all together. */
export async function measureCost(): Promise<readonly Cost[]> {
  const random = new Random(7);
  const failed = Array.from({ length: OUTCOMES }, () => random.chance(0.05));
  const durations = Float64Array.from(failed, () => 20 / (0.05 + random.next()));
  const keys = Array.from(failed, () => uuid(random));
  const arms = (share: number) =>
    Array.from(failed, (): Arm => (random.chance(share) ? 'treatment' : 'control'));
  const control = new LatencyHistogram();
  for (const duration of durations) control.record(duration);

  const contestants: Contestant[] = [];
  const limits: (number | undefined)[] = [];
  const add = (name: string, limit: number | undefined, observe: (index: number) => void) => {
    let next = 0;
    contestants.push({
      name,
      run(iterations) {
        for (let i = 0; i < iterations; i++) observe(next++ & (OUTCOMES - 1));
      },
    });
    limits.push(limit);
  };

  const limitTest = new OneSampleTest({ maxFailureRate: 0.05 });
  add('one-sample test', 150, (i) => limitTest.observe(failed[i]!));
  for (const share of [0.01, 0.1, 0.5]) {
    const arm = arms(share);
    const test = new TwoSampleTest();
    add(`two-sample test, share ${share * 100} %`, 150, (i) => test.observe(arm[i]!, failed[i]!));
  }
  for (const share of [0.1, 0.5]) {
    const arm = arms(share);
    const test = latencyTest(1.2, control);
    add(`latency test (3 quantiles), share ${share * 100} %`, undefined, (i) =>
      test.observe(arm[i]!, false, true, durations[i]!),
    );
  }
  const once = new OncePerKey(1);
  add('once per key, UUID', undefined, (i) => once.first(keys[i]));

  const arm = arms(0.1);
  const [limitOfAll, regression] = [new OneSampleTest({ maxFailureRate: 0.05 }), new TwoSampleTest()];
  const slowness = latencyTest(1.2, control);
  const seen = new OncePerKey(2);
  add('all of them on every outcome, share 10 %', undefined, (i) => {
    seen.first(keys[i]);
    if (arm[i] === 'treatment') limitOfAll.observe(failed[i]!);
    regression.observe(arm[i]!, failed[i]!);
    slowness.observe(arm[i]!, false, true, durations[i]!);
  });
  const latencies = { treatment: new LatencyHistogram(), control };
  const evidence = new SequentialEvidence({
    specs: [
      { name: 'regression', evidence: { test: 'failure-regression', alpha: 0.02, ratio: 1 } },
      { name: 'limit', evidence: { test: 'failure-rate', alpha: 0.01, maxFailureRate: 0.05 } },
      { name: 'slower', evidence: { test: 'latency-regression', alpha: 0.02, ratio: 1.2 } },
    ],
    seed: 3,
    latency: latencies,
    frozenControl: undefined,
  });
  const outcomes = failed.map((each, i) => outcomeOf(arm[i]!, each, durations[i]!));
  // Without keys every outcome counts, as a stream of new users does; what a key costs is measured above.
  add('recorded as evidence for three triggers, share 10 %', 450, (i) => evidence.record(outcomes[i]!, i));
  const measured = await compare(contestants, { rounds: 21 });
  return measured.map(({ name, medianNs }, i) => ({ name, ns: medianNs, limit: limits[i] }));
}

function outcomeOf(arm: Arm, failed: boolean, durationMs: number): Outcome {
  return {
    exposure: {
      flagKey: 'bench',
      arm,
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: undefined,
      epoch: 1,
      at: 0,
    },
    result: failed ? 'failure' : 'success',
    durationMs,
    errorType: undefined,
    critical: false,
    fallbackUsed: false,
    userSucceeded: !failed,
    attempts: 1,
    attributes: undefined,
    at: 0,
  };
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 4 }, () => random.bits().toString(16).padStart(8, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
