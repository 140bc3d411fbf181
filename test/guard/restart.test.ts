import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { Verdict } from '../../src/model/shapes.js';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { FakeFlags } from '../helpers/fake-flags.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  await harness.close();
});

describe('a guard after a restart', () => {
  const stages = [
    { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 },
    { percentage: 50, minOutcomes: 5, minSuccessRate: 0.9 },
  ];

  async function succeed(guard: RolloutGuard): Promise<void> {
    const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });
    for (let user = 0; user < 5; user++) await upload({ targetingKey: `user-${user}` }, undefined);
  }

  it('reports a met stage once', async () => {
    const statuses = () => harness.reported('stage').map(({ progress }) => progress.status);
    const first = await harness.started({ stages, tickMs: 5 });
    await succeed(first);
    await harness.until('met', () => first.status().stage?.status === 'met');
    await first.close();
    for (let restart = 0; restart < 3; restart++) {
      const next = await harness.started({ stages, tickMs: 5 });
      await harness.until('met', () => next.status().stage?.status === 'met');
      await next.close();
    }
    expect(statuses()).toEqual(['collecting', 'met']);
  });

  it('does not advance while a review of an earlier run is open', async () => {
    const time = { now: Date.UTC(2026, 2, 2) };
    const clock = { now: () => time.now, monotonic: () => time.now };
    const rule = successRateBetween(0.9, 0.99);
    const status = { now: 'breach' as Verdict['status'] };
    const review: Trigger[] = [
      { ...rule, evaluate: (snapshot, now) => ({ ...rule.evaluate(snapshot, now), status: status.now }) },
    ];
    const plan = { stages, review, clock, tickMs: 5, advance: 'automatic' } as const;
    const first = await harness.started(plan);
    await harness.until('opened', () => harness.reported('review-opened').length === 1);
    await succeed(first);
    status.now = 'ok';
    await harness.ticks(5);
    await first.close();

    const next = await harness.started(plan);
    await harness.ticks(5);
    expect(next.status().stage?.status).toBe('blocked');
    expect(harness.unleash.rollout).toBe(10);
    time.now += 5 * 60_000;
    await harness.until('closed', () => harness.reported('review-closed').length === 1);
    await harness.until('moved', () => harness.unleash.rollout === 50);
    expect(harness.reported('review-opened')).toHaveLength(1);
  });

  it('decides nothing about a flag that was off before', async () => {
    const first = await harness.started();
    harness.flags.change({ enabled: false });
    await first.close();
    const second = await harness.started();
    for (let user = 0; user < 20; user++) {
      // As outcomes of operations that began when it was still on.
      second.exposed({ value: true }, `user-${user}`);
      harness.flags.track({ targetingKey: `user-${user}`, value: 1, details: { success: false } });
    }
    await new Promise(setImmediate);
    expect(harness.reported('decided')).toEqual([]);
    harness.flags.change({ enabled: true });
    expect(second.status().snapshot.windows[0]?.treatment.failures).toBe(0);
  });

  describe('with a flag that it had stopped and seen off', () => {
    beforeEach(async () => {
      const first = await harness.started();
      await harness.fail(first);
      await harness.until('stopped', () => first.state.status === 'stopped');
      harness.flags.change({ enabled: false });
      await first.close();
      // A bootstrap or an old backup shows the flag as it was before the stop.
      harness.flags = new FakeFlags();
      harness.events = [];
    });

    it('does not re-arm on the first definition', async () => {
      const second = await harness.started();
      expect(harness.flags.isOverridden()).toBe(true);
      await harness.until('rechecked', () => harness.unleash.requests.length > 0);
      await new Promise(setImmediate);
      expect(second.state).toMatchObject({ status: 'stopped' });
    });

    it('checks at once whether an operator turned it on in the meantime', async () => {
      harness.unleash.toggle(true, 'ann');
      const second = await harness.started();
      await harness.until('re-armed', () => second.state.status === 'armed');
      expect(harness.flags.isOverridden()).toBe(false);
    });

    it('reports why when Unleash refuses to reply', async () => {
      harness.unleash.failure = () => Response.json({}, { status: 401 });
      await harness.started();
      await harness.until('reported', () => harness.reported('fault').length === 1);
      expect(harness.reported('fault')[0]?.message).toContain('does not accept the admin token');
    });
  });

  it('leaves the pending stop of an earlier run to the next real run, when this one is a dry run', async () => {
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('requested', () => harness.reported('action-required').length === 1);
    await first.close();
    harness.unleash.failure = undefined;
    harness.flags = new FakeFlags();
    const dry = await harness.started({ dryRun: true });
    harness.flags.change({ rolloutPercentage: 50 });
    expect(harness.flags.isOverridden()).toBe(false);
    await dry.close();
    expect(harness.unleash.enabled).toBe(true);
    const real = await harness.started();
    await harness.until('stopped', () => real.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('requests action again for a stop that an earlier run could not finish', async () => {
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('requested', () => harness.reported('action-required').length === 1);
    harness.flags.change({ rolloutPercentage: 50 });
    await first.close();
    harness.events = [];
    await harness.started();
    await harness.until('requested again', () => harness.reported('action-required').length === 1);
  });
});
