import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { GuardHarness } from '../helpers/guard-harness.js';

const PLAN: Partial<RolloutGuardOptions> = {
  stages: [
    { percentage: 1, minOutcomes: 5, minSuccessRate: 0.9 },
    { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 },
    { percentage: 50, minOutcomes: 5, minSuccessRate: 0.9 },
  ],
  advance: 'automatic',
  onRollback: 'previous-stage',
  tickMs: 5,
};

describe('a guard that moves the percentage itself', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });
  afterEach(() => harness.close());

  const patches = () => harness.unleash.requests.filter((request) => request.startsWith('PATCH'));

  async function succeed(guard: RolloutGuard): Promise<void> {
    const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });
    for (let user = 0; user < 5; user++) await upload({ targetingKey: `user-${user}` }, undefined);
  }

  /** Some ticks. */

  it('does not advance to the percentage that it stepped back from, not even after a restart', async () => {
    const guard = await harness.started(PLAN);
    await harness.fail(guard);
    await harness.until('back at 1 %', () => harness.unleash.rollout === 1);
    harness.flags.change({ rolloutPercentage: 1 });
    await harness.until('armed again', () => guard.state.status === 'armed');
    await succeed(guard);
    await harness.until('met', () => guard.status().stage?.status === 'met');
    await harness.ticks(8);
    expect(harness.unleash.rollout).toBe(1);

    await guard.close();
    const next = await harness.started(PLAN);
    await harness.until('met', () => next.status().stage?.status === 'met');
    await harness.ticks(8);
    expect(harness.unleash.rollout).toBe(1);

    // An operator set that percentage.
    harness.unleash.rollout = 10;
    harness.flags.change({ rolloutPercentage: 10 });
    await succeed(next);
    await harness.until('at 50 %', () => harness.unleash.rollout === 50);
  });

  it('does not change the percentage of a flag that an operator has turned off', async () => {
    const guard = await harness.started(PLAN);
    harness.unleash.toggle(false, 'an operator');
    await succeed(guard);
    await harness.until('met', () => guard.status().stage?.status === 'met');
    await harness.ticks(8);
    expect(patches()).toEqual([]);
  });

  it('cancels a move that is under way when it stops the flag', async () => {
    let answer = () => {};
    const waiting = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let isMet = false;
    let isMoving = false;
    const slow: typeof fetch = async (input, init) => {
      const response = await harness.unleash.fetch(input, init);
      if (isMet && !isMoving && String(input).endsWith('/features/async-upload')) {
        isMoving = true;
        await waiting;
      }
      init?.signal?.throwIfAborted();
      return response;
    };
    const guard = await harness.started({ ...PLAN, onRollback: 'disable', fetch: slow });
    await harness.until('checked', () => harness.unleash.requests.length >= 4);
    isMet = true;
    await succeed(guard);
    await harness.until('it reads the flag', () => isMoving);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    answer();
    await harness.ticks(8);
    expect(patches()).toEqual([]);
  });

  it('turns nothing off when only the answer to a step back is lost', async () => {
    let lost = 0;
    const lossy: typeof fetch = async (input, init) => {
      const response = await harness.unleash.fetch(input, init);
      if (init?.method !== 'PATCH' || lost++ > 0) return response;
      throw new TypeError('fetch failed');
    };
    const guard = await harness.started({ ...PLAN, fetch: lossy });
    await harness.fail(guard);
    await harness.until('settled', () => guard.state.status === 'stopped');
    expect(guard.state).toMatchObject({ steppedBack: true });
    expect(harness.unleash).toMatchObject({ enabled: true, rollout: 1 });
  });

  it('re-arms when an operator undoes a step back that the provider has never seen', async () => {
    const guard = await harness.started({ ...PLAN, advance: 'manual', recheckMs: 20 });
    await harness.fail(guard);
    await harness.until('back at 1 %', () => guard.state.status === 'stopped');
    await harness.ticks(8);
    expect(guard.state).toMatchObject({ status: 'stopped', steppedBack: true });
    expect(harness.flags.isOverridden()).toBe(true);
    harness.unleash.rollout = 10;
    await harness.until('armed again', () => guard.state.status === 'armed');
    expect(harness.flags.isOverridden()).toBe(false);
    expect(harness.unleash).toMatchObject({ enabled: true, rollout: 10 });
  });

  it('checks after a restart whether an operator has undone the step back', async () => {
    const first = await harness.started({ ...PLAN, advance: 'manual' });
    await harness.fail(first);
    await harness.until('back at 1 %', () => first.state.status === 'stopped');
    await first.close();
    harness.unleash.rollout = 10;
    const next = await harness.started({ ...PLAN, advance: 'manual' });
    await harness.until('armed again', () => next.state.status === 'armed');
    expect(harness.flags.isOverridden()).toBe(false);
  });

  it('shows no stage while the flag is off', async () => {
    const guard = await harness.started({ ...PLAN, advance: 'manual' });
    await succeed(guard);
    await harness.until('met', () => guard.status().stage?.status === 'met');
    harness.flags.change({ enabled: false });
    await harness.ticks(8);
    expect(guard.status().stage).toBeUndefined();
  });
});
