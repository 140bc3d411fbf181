import { describe, expect, it } from 'vitest';
import { errorRateAbove } from '../../../src/triggers/error-rate-above.js';
import { failureRegression } from '../../../src/triggers/event-regression.js';
import { latencyRegression } from '../../../src/triggers/latency-regression.js';
import { Random } from '../../../src/what-if/simulate/random.js';
import {
  type SimulatedRollout,
  simulateRollout,
  type Traffic,
} from '../../../src/what-if/simulate/rollout.js';

interface Changes {
  readonly share?: number;
  readonly failing?: { readonly treatment: number; readonly control: number };
  readonly durationMs?: number;
  readonly treatmentMs?: number;
  readonly users?: number;
}

/** Ten minutes of 20 requests/s, a tenth of them in a treatment that always fails. */
function traffic({
  share = 0.1,
  failing = { treatment: 1, control: 0.01 },
  durationMs = 600_000,
  treatmentMs = 100,
  users,
}: Changes = {}): Traffic {
  let next = 0;
  return {
    requestsPerSecond: 20,
    stages: [{ share, durationMs }],
    unit(random) {
      if (users === undefined) return { key: `user-${next++}`, position: random.next(), frailty: 0 };
      const user = Math.floor(random.next() * users);
      return { key: `user-${user}`, position: (user + 0.5) / users, frailty: 0 };
    },
    call: (_unit, treated, _at, random) => ({
      result: random.chance(treated ? failing.treatment : failing.control) ? 'failure' : 'success',
      durationMs: treated ? treatmentMs : 100,
    }),
  };
}

const rules = { rollback: [failureRegression()] };
const play = (changes: Changes = {}, seed = 1, given: Parameters<typeof simulateRollout>[0] = rules) =>
  simulateRollout(given, traffic(changes), new Random(seed));

describe('simulateRollout', () => {
  it('stops a treatment that always fails within seconds, and counts the harm', () => {
    const rollout = play();
    expect(rollout.stoppedBy).toEqual(['failure-regression']);
    expect(rollout.treatmentCalls).toBeLessThanOrEqual(10);
    expect(rollout.harmedCalls).toBe(rollout.treatmentCalls);
    expect(rollout.endedAtMs).toBeLessThan(20_000);
  });

  it('plays about as many calls as come in the time, at about the share', () => {
    const quiet = play({ failing: { treatment: 0, control: 0 } }, 2);
    expect(quiet).toMatchObject({ endedAtMs: 600_000, stoppedBy: [], harmedCalls: 0 });
    // 1,200 are expected; 4 standard deviations are 139.
    expect(Math.abs(quiet.treatmentCalls - 1_200)).toBeLessThan(139);
  });

  it('never stops the treatment because the control fails', () => {
    expect(play({ failing: { treatment: 0.01, control: 1 } }, 3).stoppedBy).toEqual([]);
  });

  it('opens a review for a slow treatment, and lets it run', () => {
    const slow = { failing: { treatment: 0.01, control: 0.01 }, treatmentMs: 300 };
    const rollout = play(slow, 4, { ...rules, review: [latencyRegression()] });
    expect(rollout).toMatchObject({ stoppedBy: [], reviews: ['latency-regression'] });
  });

  it('counts calls that hang as harm, and stops them when the time limit of the first one ends', () => {
    const rollout = play({ failing: { treatment: 0, control: 0 }, treatmentMs: 60_000 }, 5);
    expect(rollout.stoppedBy).toEqual(['failure-regression']);
    expect(rollout.endedAtMs).toBeLessThan(40_000);
    expect(rollout.harmedCalls).toBeGreaterThan(0);
  });

  it('lets each of few users speak once: ten users are no evidence, and a limit is a limit', () => {
    const few = { users: 10, share: 0.5, failing: { treatment: 0.5, control: 0.4 } };
    expect(play(few, 6).stoppedBy).toEqual([]);
    const limit = { rollback: [errorRateAbove(0.3, { evidence: 'sequential', strict: true })] };
    expect(play(few, 6, limit).stoppedBy).toHaveLength(1);
  });

  it('has no control at a share of 1', () => {
    expect(play({ share: 1 }, 7).stoppedBy).toEqual([]);
    const limited = { rollback: [errorRateAbove(0.05, { evidence: 'sequential' })] };
    expect(play({ share: 1 }, 7, limited).stoppedBy).toHaveLength(1);
  });

  it('reports what each stage was called', () => {
    const stages = [{ percentage: 10, minOutcomes: 100, minSuccessRate: 0.98 }];
    const healthy = { failing: { treatment: 0, control: 0 } };
    const { stageStatuses }: SimulatedRollout = play(healthy, 8, { ...rules, stages });
    expect(stageStatuses).toEqual([['collecting', 'met']]);
  });
});
