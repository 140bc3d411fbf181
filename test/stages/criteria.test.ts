import { describe, expect, it } from 'vitest';
import { judgeStage } from '../../src/stages/criteria.js';
import type { Stage } from '../../src/stages/stage.js';
import { armCounts, NOW, snapshotOf } from '../triggers/snapshots.js';

const HOUR = 3_600_000;

const stages: readonly Stage[] = [
  { percentage: 1, minOutcomes: 100, minSuccessRate: 0.995, minDurationMs: HOUR },
  { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
];

function progressOf(
  index: number,
  counts: { readonly successes: number; readonly failures: number },
  { elapsedMs = HOUR, reviews = [] as string[] } = {},
) {
  const snapshot = snapshotOf({});
  const total = { ...snapshot.total, treatment: { ...snapshot.total.treatment, ...armCounts(counts) } };
  const control = { ...snapshot.total.control, ...armCounts({ successes: 1, failures: 9_999 }) };
  return judgeStage(
    stages,
    index,
    { ...snapshot, total: { ...total, control }, epochStartedAt: NOW - elapsedMs },
    NOW,
    reviews,
  );
}

describe('judgeStage', () => {
  it.each([
    ['no outcome', 0, { successes: 0, failures: 0 }, 'collecting', undefined],
    ['one outcome too few', 0, { successes: 99, failures: 0 }, 'collecting', 1],
    ['enough, all good', 0, { successes: 100, failures: 0 }, 'met', 1],
    ['exactly the rate', 0, { successes: 199, failures: 1 }, 'met', 0.995],
    ['just below the rate', 0, { successes: 198, failures: 1 }, 'missed', 198 / 199],
    ['the next stage, its own numbers', 1, { successes: 495, failures: 5 }, 'met', 0.99],
  ] as const)('judges %s', (_what, index, counts, status, successRate) => {
    expect(progressOf(index, counts)).toMatchObject({ status, successRate, index, stage: stages[index] });
  });

  it('waits for the least time of the stage', () => {
    const counts = { successes: 1_000, failures: 0 };
    expect(progressOf(0, counts, { elapsedMs: HOUR - 1 })).toMatchObject({
      status: 'collecting',
      message: 'The stage at 1 % needs 1 more minute.',
    });
    expect(progressOf(0, counts, { elapsedMs: HOUR })).toMatchObject({ status: 'met' });
  });

  it('is blocked while a review is open, however good the numbers', () => {
    const blocked = progressOf(0, { successes: 1_000, failures: 0 }, { reviews: ['Latency is high.'] });
    expect(blocked).toMatchObject({ status: 'blocked', outcomes: 1_000 });
    expect(blocked.message).toContain('Latency is high.');
  });

  it('says what to do in Unleash, and when the rollout is complete', () => {
    expect(progressOf(0, { successes: 100, failures: 0 }).message).toContain(
      'Set the rollout to 10 % in Unleash',
    );
    expect(progressOf(1, { successes: 500, failures: 0 }).message).toContain('the rollout is complete');
  });
});
