import { randomUUID } from 'node:crypto';
import { OpenFeature } from '@openfeature/server-sdk';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutcomeHook } from '../../hooks/outcome-hook.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { type MetricOptions, metric } from '../../src/triggers/metrics/metric.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from '../helpers/eventually.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { flagOf, percent, providerWith } from '../providers/unleash/bootstrapped.js';

const WITHIN = 400;
const CHECKOUT: MetricOptions = { kind: 'conversion', direction: 'higher-is-better', withinMs: WITHIN };
const CART: MetricOptions = { kind: 'numeric', direction: 'higher-is-better', withinMs: WITHIN };

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(() => harness.close());

const figures = (guard: RolloutGuard, trigger = 'checkout') =>
  guard.status().snapshot.evidence!.find((each) => each.trigger === trigger)!.metric!;

/** Users of both arms in turn, drawn at 50 %. */
function expose(guard: RolloutGuard, users: number, from = 0) {
  for (let user = from; user < from + users; user++) {
    const flagMetadata = { chance: 0.5, contextId: `user-${user}` };
    guard.exposed({ value: user % 2 === 0, reason: 'SPLIT', flagMetadata }, `user-${user}`);
  }
}

describe('metrics of a guard', () => {
  it('stop the flag when the treatment loses conversions, and say so in the decision and in the view', async () => {
    const guard = await harness.started({ rollback: [metric('checkout', CHECKOUT)], tickMs: 20 });
    expose(guard, 400);
    for (let user = 0; user < 400; user++) {
      if (user % 2 === 1 || user % 20 === 0) guard.track('checkout', { targetingKey: `user-${user}` });
    }
    await harness.until('a stop', () => harness.reported('decided').length > 0);
    const [decided] = harness.reported('decided');
    expect(decided!.decision.verdicts).toMatchObject([
      { trigger: 'checkout', status: 'breach', unit: 'fraction' },
    ]);
    expect(decided!.decision.reason).toMatch(
      / of the treatment's units have checkout within 400 ms, 100 % .+ worse by 9/,
    );
    const view = await guard.rolloutSource.view();
    expect(view!.triggers).toMatchObject([{ name: 'checkout', verdict: { status: 'breach' } }]);
  });

  it('open a review when their trigger is one for operators', async () => {
    const guard = await harness.started({ review: [metric('cart', CART)], tickMs: 20 });
    expose(guard, 600);
    for (let user = 0; user < 600; user++) {
      guard.track(
        'cart',
        { targetingKey: `user-${user}` },
        { value: user % 2 === 0 ? 10 + (user % 5) : 20 + (user % 7) },
      );
    }
    await harness.until('a review', () => harness.reported('review-opened').length > 0);
    expect(harness.reported('review-opened')[0]!.verdict.message).toMatch(
      /the median of cart is 12 in the treatment and 23 in the control/,
    );
    expect(harness.reported('decided')).toEqual([]);
  });

  it('report an invalid value once, and unknown users not at all', async () => {
    const guard = await harness.started({ review: [metric('cart', CART)] });
    expose(guard, 2);
    for (const value of [Number.NaN, '12', Number.POSITIVE_INFINITY, -1, 1e200]) {
      guard.track('cart', { targetingKey: 'user-0' }, { value: value as number });
    }
    guard.track('cart', { targetingKey: 'nobody' }, { value: 3 });
    guard.track('another-event', { targetingKey: 'user-0' }, { value: 3 });
    expect(figures(guard, 'cart')).toMatchObject({ tracked: 6, invalid: 5, unattributed: 1 });
    const faults = harness.reported('fault').map(({ message }) => message);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(
      /the metric cart needs a finite "value", not below its minimum and at most 1e\+100, got NaN/,
    );
  });

  it.each([
    ['track', []],
    ['track', [undefined, undefined]],
    ['track', ['cart', null]],
    ['track', ['cart', { targetingKey: 7 }, null]],
  ] as const)('never throw into the request that calls %s with %o', async (method, given) => {
    const guard = await harness.started({ review: [metric('cart', CART)] });
    expect(() => (guard[method] as (...args: unknown[]) => void)(...given)).not.toThrow();
  });

  it('go on after a restart', async () => {
    const options = { rollback: [metric('checkout', { ...CHECKOUT, withinMs: 3_600_000 })] };
    const first = await harness.started(options);
    expose(first, 10);
    first.track('checkout', { targetingKey: 'user-2' });
    await first.close();
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date'] });
    try {
      const second = await harness.started(options);
      second.track('checkout', { targetingKey: 'user-4' });
      expect(figures(second).tracked).toBe(2);
      vi.setSystemTime(Date.now() + 3_600_001);
      expect(figures(second).arms).toEqual({
        treatment: { trials: 5, value: 0.4 },
        control: { trials: 5, value: 0 },
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('come from client.track() of OpenFeature, with the names of the application, to the guards of several flags', async () => {
    const flags = ['upload', 'search'].map((name) => flagOf({ name, strategies: [percent(50)] }));
    const provider = await providerWith(flags as never);
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, provider);
    const client = OpenFeature.getClient(domain);
    const guards = ['upload', 'search'].map(
      (flagKey) =>
        new RolloutGuard({
          flagKey,
          flags: provider,
          unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
          rollback: [successRateBelow(0.95), metric('cart', CART)],
          review: [
            metric('checkout', CHECKOUT),
            metric('error', { ...CHECKOUT, kind: 'ratio', per: 'page-view' }),
          ],
          folder: false,
          logger: false,
          fetch: new FakeAdminApi().fetch,
        }),
    );
    try {
      for (const guard of guards) {
        client.addHooks(new OutcomeHook(guard));
        await guard.start();
      }
      const arms = { treatment: 0, control: 0 };
      for (let user = 0; user < 40; user++) {
        const context = { targetingKey: `user-${user}` };
        arms[(await client.getBooleanValue('upload', false, context)) ? 'treatment' : 'control'] += 1;
        await client.getBooleanValue('search', false, context);
        client.track('page-view', context);
        client.track('error', context, { value: 2 });
        client.track('checkout', context);
        client.track('cart', context, { value: 100 + user });
      }
      expect(Math.min(arms.treatment, arms.control)).toBeGreaterThan(5);
      await eventually(() => expect(figures(guards[1]!, 'cart').arms.treatment.trials).toBeGreaterThan(0));
      await eventually(() => expect(figures(guards[0]!).arms.control.trials).toBe(arms.control));
      expect(figures(guards[0]!)).toMatchObject({
        tracked: 40,
        unattributed: 0,
        arms: { treatment: { trials: arms.treatment, value: 1 }, control: { value: 1 } },
      });
      expect(figures(guards[0]!, 'error')).toMatchObject({ tracked: 80, arms: { treatment: { value: 2 } } });
    } finally {
      for (const guard of guards) await guard.close();
    }
  });
});
