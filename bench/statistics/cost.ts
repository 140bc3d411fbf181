import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Arm, Outcome } from '../../src/model/shapes.js';
import { EventStream } from '../../src/statistics/event-stream.js';
import { hash32 } from '../../src/statistics/hash.js';
import { LatencyEvents } from '../../src/statistics/latency-events.js';
import { LimitTest } from '../../src/statistics/limit-test.js';
import type { TestSpec } from '../../src/statistics/rollout-evidence.js';
import { SampleRatio } from '../../src/statistics/sample-ratio.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { type Contestant, compare } from '../harness.js';

export interface Cost {
  readonly name: string;
  /** Median, in nanoseconds for one outcome. */
  readonly ns: number;
  /** What is promised, in nanoseconds. */
  readonly limit: number | undefined;
}

/** Outcomes are drawn beforehand, and few enough to stay in the cache as a live request does: only the tests are measured. */
const OUTCOMES = 1 << 12;
const START = 1_700_000_000_000;
/** A busy process: 1,000 outcomes per second. */
const MS_PER_OUTCOME = 1;

const EVENT = { test: 'event', ratio: 1, minDifference: 0.02 } as const;
/** The tests of the preset, with its split of alpha. */
const TESTS: readonly TestSpec[] = [
  { name: 'failures', evidence: { ...EVENT, event: 'failure', alpha: 0.015 } },
  { name: 'limit', evidence: { test: 'limit', alpha: 0.01, maxFailureRate: 0.05 } },
  { name: 'aborts', evidence: { ...EVENT, event: 'aborted', alpha: 0.005 } },
  { name: 'latency', evidence: { test: 'latency', alpha: 0.02, ratio: 1.2 } },
  { name: 'expected', evidence: { ...EVENT, event: 'expected', alpha: 0.001 } },
  { name: 'unreported', evidence: { ...EVENT, event: 'unreported', alpha: 0.001 } },
  { name: 'sample ratio', evidence: { test: 'sample-ratio', alpha: 0.001 } },
];

/** Nanoseconds for each outcome: the tests themselves, and what exposing and recording cost with and without them. */
export async function measureCost(): Promise<readonly Cost[]> {
  const random = new Random(7);
  const failed = Array.from({ length: OUTCOMES }, () => random.chance(0.01));
  const durations = Float64Array.from(failed, () => 20 / (0.05 + random.next()));
  const keys = Array.from(failed, () => uuid(random));
  const units = Uint32Array.from(keys, (key) => hash32(key, 1) >>> 0);
  const treated = Array.from(failed, () => random.chance(0.1));

  const contestants: Contestant[] = [];
  const limits: (number | undefined)[] = [];
  const add = (name: string, limit: number | undefined, observe: (index: number, count: number) => void) => {
    let next = 0;
    contestants.push({
      name,
      run(iterations) {
        for (let i = 0; i < iterations; i++) observe(next++ & (OUTCOMES - 1), next);
      },
    });
    limits.push(limit);
  };

  add('hash of a unit, UUID', undefined, (i) => hash32(keys[i]!, 1));
  const limit = new LimitTest(0.05);
  add('limit test', undefined, (i, n) => limit.observe(failed[i]!, n));
  const stream = new EventStream([{ alpha: 0.015, ratio: 1, minDifference: 0.02 }]);
  add('event stream, 1 % fail', undefined, (i, n) =>
    stream.outcome(units[i]!, treated[i]!, 0.1, failed[i]!, n, 1),
  );
  const sources = { treatment: new LatencyHistogram(), control: new LatencyHistogram() };
  for (const duration of durations) sources.control.record(duration);
  const latency = new LatencyEvents({ test: 'latency', alpha: 0.02, ratio: 1.2 }, sources);
  add('latency events, 3 quantiles', undefined, (i, n) =>
    latency.success(units[i]!, treated[i]!, 0.1, durations[i]!, n),
  );
  const ratio = new SampleRatio();
  add('sample ratio', undefined, (i, n) => ratio.exposed(units[i]!, treated[i]!, 0.1, n));

  const recording = (tests: readonly TestSpec[]) => {
    const store = new MemoryOutcomeStore({
      flagKey: 'bench',
      windowsMs: [60_000, 300_000, 1_800_000],
      now: START,
      evidenceFor: tests,
    });
    store.beginEpoch(1, START, { keepWindows: false });
    const outcomes = failed.map((each, i) =>
      outcomeOf(treated[i]! ? 'treatment' : 'control', each, durations[i]!, keys[i]!),
    );
    let at = START;
    return (i: number) => {
      const outcome = outcomes[i]!;
      at += MS_PER_OUTCOME;
      outcome.exposure.at = at;
      outcome.at = at;
      store.expose(outcome.exposure);
      store.record(outcome);
    };
  };
  add('expose and record, no test', undefined, recording([]));
  add('expose and record, the preset’s tests', undefined, recording(TESTS));
  const measured = await compare(contestants, { rounds: 41 });
  const costs = measured.map(({ name, medianNs }, i) => ({ name, ns: medianNs, limit: limits[i] }));
  const [without, all] = costs.slice(-2);
  return [...costs, { name: 'the preset’s tests alone', ns: all!.ns - without!.ns, limit: 150 }];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function outcomeOf(
  arm: Arm,
  failed: boolean,
  durationMs: number,
  unit: string,
): Mutable<Omit<Outcome, 'exposure'>> & { exposure: Mutable<Outcome['exposure']> } {
  return {
    exposure: {
      flagKey: 'bench',
      arm,
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: unit,
      chance: 0.1,
      unit,
      isOperation: true,
      sequence: undefined,
      epoch: 1,
      at: START,
    },
    result: failed ? 'failure' : 'success',
    durationMs,
    errorType: undefined,
    critical: false,
    fallbackUsed: false,
    userSucceeded: !failed,
    attempts: 1,
    attributes: undefined,
    at: START,
  };
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 4 }, () => random.bits().toString(16).padStart(8, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
