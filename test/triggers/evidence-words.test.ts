import { describe, expect, it } from 'vitest';
import type { Evidence } from '../../src/model/snapshot.js';
import { complaintRateRising } from '../../src/triggers/event-regression.js';
import { describeEvidence } from '../../src/triggers/evidence-rule.js';
import { NOW, snapshotOf } from './snapshots.js';

describe('complaints', () => {
  const evidence = (sinceTrials: number): Evidence => ({
    trigger: 'complaint-rate-rising',
    logE: 20,
    peakLogE: 20,
    generation: 1,
    logThreshold: Math.log(50),
    breached: true,
    counts: { treatment: { trials: 1_000, failures: 205 }, control: { trials: 1_000, failures: 9 } },
    since: {
      at: NOW - 60_000,
      counts: {
        treatment: { trials: sinceTrials, failures: 11 },
        control: { trials: sinceTrials, failures: 0 },
      },
    },
    events: 214,
    excluded: 0,
    repeated: 0,
    invalid: 0,
  });

  it.each([
    // They may come long after the outcomes, or without any.
    [0, /^Since the rollout began the treatment has complaints in 20\.5 % \(205 of 1,000\).*worse by 19\.6/],
    [40, /^Since \d\d:\d\d UTC the treatment has complaints in 27\.5 % \(11 of 40\)/],
  ])('are a share of as many outcomes as there are: %d since they rose', (trials, message) => {
    const snapshot = { ...snapshotOf(), evidence: [evidence(trials)] };
    const verdict = complaintRateRising().evaluate(snapshot, NOW);
    expect(verdict.message).toMatch(message);
    expect(verdict.observed).toBeGreaterThan(0.1);
    expect(verdict.evidence!.treatment.trials).toBe(trials || 1_000);
  });
});

describe('describeEvidence', () => {
  it.each([
    [3, false, 'the evidence E is 3, the limit is 50'],
    [73, true, 'the evidence E is 73, the limit is 50: at most 2 % of healthy rollouts ever reach it'],
    // A breach stays one, though E may have fallen since.
    [30, true, 'the evidence E has reached its limit of 50: at most 2 % of healthy rollouts ever reach it'],
  ])('never shows a limit that was reached as one that was not: %d', (e, breached, words) => {
    expect(describeEvidence({ logE: Math.log(e), breached }, Math.log(50), 0.02)).toBe(words);
  });
});
