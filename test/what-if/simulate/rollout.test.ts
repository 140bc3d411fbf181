import { describe, expect, it } from 'vitest';
import { errorRateAbove } from '../../../src/triggers/error-rate-above.js';
import { failureRegression } from '../../../src/triggers/failure-regression.js';
import { latencyRegression } from '../../../src/triggers/latency-regression.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { Random } from '../../../src/what-if/simulate/random.js';
import type { Scenario } from '../../../src/what-if/simulate/rollout.js';
import { simulateRollout } from '../../../src/what-if/simulate/rollout.js';

const SCENARIO: Scenario = {
  share: 0.1,
  controlFailureRate: 0.01,
  treatmentFailureRate: 1,
  requestsPerSecond: 20,
  durationMs: 60_000,
  latencyMs: 100,
  slowdown: 1,
};
const rules = { rollback: [failureRegression()] };

describe('simulateRollout', () => {
  it('stops a treatment that always fails within seconds', () => {
    const rollout = simulateRollout(rules, SCENARIO, new Random(1));
    expect(rollout.stoppedBy).toEqual(['failure-regression']);
    expect(rollout.treatmentRequests).toBeLessThanOrEqual(10);
    expect(rollout.treatmentFailures).toBe(rollout.treatmentRequests);
    expect(rollout.endedAtMs).toBeLessThan(20_000);
  });

  it('plays about as many requests as come in the time, at about the share', () => {
    const quiet = { ...SCENARIO, treatmentFailureRate: 0, controlFailureRate: 0, durationMs: 600_000 };
    const { treatmentRequests, endedAtMs, stoppedBy } = simulateRollout(rules, quiet, new Random(2));
    expect({ endedAtMs, stoppedBy }).toEqual({ endedAtMs: 600_000, stoppedBy: [] });
    // 1,200 are expected; 4 standard deviations are 139.
    expect(Math.abs(treatmentRequests - 1_200)).toBeLessThan(139);
  });

  it('never stops the treatment because the control fails', () => {
    const swapped = { ...SCENARIO, treatmentFailureRate: 0.01, controlFailureRate: 1 };
    expect(simulateRollout(rules, swapped, new Random(3)).stoppedBy).toEqual([]);
  });

  it('opens a review for a slow treatment, and lets it run', () => {
    const slow = { ...SCENARIO, treatmentFailureRate: 0.01, slowdown: 3 };
    const reviewed = { ...rules, review: [latencyRegression()] };
    const rollout = simulateRollout(reviewed, slow, new Random(4));
    expect(rollout).toMatchObject({ stoppedBy: [], reviews: ['latency-regression'] });
  });

  it('lets each of few users count once', () => {
    const few = { ...SCENARIO, users: 10, durationMs: 600_000 };
    const literal = { rollback: [successRateBelow(0.95, { minOutcomes: 100 })] };
    const limit = { rollback: [errorRateAbove(0.9, { evidence: 'sequential', alpha: 0.001 })] };
    expect(simulateRollout(literal, { ...few, share: 0.5 }, new Random(6)).stoppedBy).toHaveLength(1);
    // Ten failures at most are no evidence against 90 % at 1 in 1,000.
    expect(simulateRollout(limit, { ...few, share: 0.5 }, new Random(6)).stoppedBy).toEqual([]);
    expect(
      simulateRollout(limit, { ...few, users: undefined, share: 0.5 }, new Random(6)).stoppedBy,
    ).toHaveLength(1);
  });

  it('has no control at a share of 1', () => {
    const rollout = simulateRollout(rules, { ...SCENARIO, share: 1 }, new Random(7));
    expect(rollout.stoppedBy).toEqual([]);
    const limited = { rollback: [errorRateAbove(0.05, { evidence: 'sequential' })] };
    expect(simulateRollout(limited, { ...SCENARIO, share: 1 }, new Random(7)).stoppedBy).toHaveLength(1);
  });
});
