import { describe, expect, it } from 'vitest';
import { BaselineRecorder } from '../../src/guard/observe/baseline-recorder.js';
import type { LatencySummary } from '../../src/model/baseline.js';
import type { FlagFacts } from '../../src/model/flags.js';
import type { ArmCounts } from '../../src/model/shapes.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { armCounts, NOW, snapshotOf } from '../triggers/snapshots.js';

const LATENCY: LatencySummary = { count: 90, meanMs: 12, p50Ms: 10, p95Ms: 30, p99Ms: 40 };

const facts = (enabled: boolean, rolloutPercentage: number | undefined = 10): FlagFacts => ({
  key: 'async-upload',
  enabled,
  rolloutPercentage,
  strategy: 'flexibleRollout',
  project: 'default',
  type: 'release',
  revision: '1',
});
const OFF = facts(false);
const ON = facts(true);

interface Seen {
  readonly control?: Partial<ArmCounts>;
  readonly treatment?: Partial<ArmCounts>;
  readonly seconds?: number;
  readonly epochStartedAt?: number;
}

function seen({ control, treatment, seconds = 0, epochStartedAt = NOW }: Seen): Snapshot {
  const snapshot = snapshotOf();
  const { total } = snapshot;
  const at = NOW + seconds * 1000;
  return {
    ...snapshot,
    at,
    epochStartedAt,
    total: {
      treatment: { ...total.treatment, ...armCounts(treatment) },
      control: { ...total.control, ...armCounts(control), latency: LATENCY, lastOutcomeAt: at },
    },
  };
}

/** Samples once a second, from `from` on, while the control works. */
function work(recorder: BaselineRecorder, flag: FlagFacts, seconds: number, bytes: number, from = 0) {
  for (let second = from; second <= from + seconds; second++) {
    const snapshot = seen({ control: { successes: second + 1 }, seconds: second });
    recorder.sample({ snapshot, facts: flag, memoryBytes: bytes + (second % 3) });
  }
}

describe('BaselineRecorder', () => {
  it.each([
    ['off', OFF],
    ['at 0 %', facts(true, 0)],
  ])('measures the memory over a minute of work while the flag is %s', (_what, flag) => {
    const recorder = new BaselineRecorder();
    work(recorder, flag, 59, 1_000);
    expect(recorder.baseline.memory).toBeUndefined();
    work(recorder, flag, 0, 1_000, 60);
    expect(recorder.baseline.memory).toEqual({
      bytes: 1_001,
      samples: 61,
      since: NOW,
      until: NOW + 60_000,
    });
  });

  it('keeps the latest minute of work', () => {
    const recorder = new BaselineRecorder();
    work(recorder, OFF, 60, 1_000);
    work(recorder, OFF, 60, 5_000, 61);
    expect(recorder.baseline.memory).toMatchObject({ bytes: 5_001, since: NOW + 61_000 });
  });

  it.each<[string, FlagFacts | undefined]>([
    ['on', ON],
    ['on with no single percentage', { ...ON, rolloutPercentage: undefined }],
    ['unknown', undefined],
  ])('measures no memory while the flag is %s', (_what, flag) => {
    const recorder = new BaselineRecorder();
    for (let second = 0; second <= 200; second++) {
      const snapshot = seen({ control: { successes: second }, seconds: second });
      recorder.sample({ snapshot, facts: flag, memoryBytes: 1_000 });
    }
    expect(recorder.baseline.memory).toBeUndefined();
  });

  it('measures no memory of a process that has run the treatment: what leaked stays', () => {
    const recorder = new BaselineRecorder();
    recorder.sample({ snapshot: seen({ treatment: { failures: 1 } }), facts: ON, memoryBytes: 1_000 });
    work(recorder, OFF, 200, 9_000, 1);
    expect(recorder.baseline.memory).toBeUndefined();
  });

  it('notices a treatment in the window, when its epoch has ended before the sample', () => {
    const recorder = new BaselineRecorder();
    const snapshot = { ...seen({}), windows: snapshotOf({ treatment: { successes: 1 } }).windows };
    recorder.sample({ snapshot, facts: OFF, memoryBytes: 1_000 });
    work(recorder, OFF, 200, 9_000, 1);
    expect(recorder.baseline.memory).toBeUndefined();
  });

  it('measures no memory of an idle process', () => {
    const recorder = new BaselineRecorder();
    for (let second = 0; second < 300; second++) {
      recorder.sample({ snapshot: seen({ seconds: second }), facts: OFF, memoryBytes: 1_000 });
    }
    expect(recorder.baseline.memory).toBeUndefined();
  });

  it.each([
    ['flag-off', OFF],
    ['rollout', ON],
  ] as const)('records the control from 100 outcomes on (%s)', (during, flag) => {
    const recorder = new BaselineRecorder();
    const sample = (control: Partial<ArmCounts>, seconds: number) =>
      recorder.sample({ snapshot: seen({ control, seconds }), facts: flag, memoryBytes: undefined });
    expect(sample({ successes: 90, failures: 9, expected: 50 }, 1)).toBe(false);
    expect(recorder.baseline.control).toBeUndefined();
    expect(sample({ successes: 90, failures: 10, complaints: 2 }, 2)).toBe(true);
    expect(recorder.baseline.control).toEqual({
      during,
      since: NOW,
      until: NOW + 2_000,
      successes: 90,
      failures: 10,
      complaints: 2,
      latency: LATENCY,
    });
    expect(sample({ successes: 90, failures: 10, complaints: 2 }, 2)).toBe(false);
    expect(sample({ successes: 90, failures: 10, complaints: 3 }, 2)).toBe(true);
  });

  it('freezes the control of the stage before when none remains', () => {
    const recorder = new BaselineRecorder({ memory: { bytes: 7, samples: 60, since: 1, until: 2 } });
    const before = { control: { successes: 500 }, seconds: 9 };
    recorder.sample({ snapshot: seen(before), facts: ON, memoryBytes: 1 });
    const { control } = recorder.baseline;
    const atHundred = { control: { successes: 3 }, seconds: 500, epochStartedAt: NOW + 10_000 };
    expect(recorder.sample({ snapshot: seen(atHundred), facts: facts(true, 100), memoryBytes: 1 })).toBe(
      false,
    );
    expect(recorder.baseline).toEqual({
      memory: { bytes: 7, samples: 60, since: 1, until: 2 },
      control: expect.objectContaining({ successes: 500 }),
    });
    expect(recorder.baseline.control).toBe(control);
  });
});
