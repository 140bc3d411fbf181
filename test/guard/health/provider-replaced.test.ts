import { randomUUID } from 'node:crypto';
import { InMemoryProvider, MultiProvider, OpenFeature, type Provider } from '@openfeature/server-sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import { GuardHarness } from '../../helpers/guard-harness.js';
import { percent, providerWith } from '../../providers/unleash/bootstrapped.js';

const unleash = () => providerWith([{ name: 'async-upload', strategies: [percent(100)] }]);
const other = () =>
  new InMemoryProvider({
    'async-upload': { variants: { on: true }, defaultVariant: 'on', disabled: false },
  });
const register = (domain: string, provider: Provider) => OpenFeature.setProviderAndWait(domain, provider);
const codes = (guard: RolloutGuard) => guard.health.reasons.map(({ code }) => code);
const arms = { treatment: () => 'new', control: () => 'old' };

describe('a guard whose provider is replaced', () => {
  let harness: GuardHarness;
  let domain: string;

  beforeEach(async () => {
    harness = await GuardHarness.create();
    domain = randomUUID();
  });

  afterEach(() => harness.close());

  it('is blind at once, says why, and reports it on the next tick', async () => {
    const provider = await unleash();
    await register(domain, provider);
    const guard = await harness.started({ flags: provider, folder: false, tickMs: 10 });
    await guard.operation(arms)({ targetingKey: 'u' }, undefined);
    expect(codes(guard)).toEqual([]);

    await register(domain, other());

    expect(guard.health).toMatchObject({
      status: 'blind',
      reasons: [{ code: 'provider-replaced', message: expect.stringContaining('"in-memory"') }],
    });
    await harness.until('the event', () => harness.reported('health').length > 0);
    expect(harness.reported('health')).toMatchObject([{ status: 'blind', began: ['provider-replaced'] }]);
  });

  it('resolves in its next run what was open when it was killed', async () => {
    const provider = await unleash();
    await register(domain, provider);
    const options = { flags: provider, tickMs: 10, notify: harness.notify };
    const guard = await harness.started(options);
    await guard.operation(arms)({ targetingKey: 'u' }, undefined);
    await register(domain, other());
    await harness.until('notified', () => harness.notified.length > 0);
    await guard.flush();

    const folder = await harness.afterKill();
    const next = await unleash();
    await register(domain, next);
    await harness.started({ ...options, flags: next, folder });
    await harness.until('resolved', () => harness.notified.length > 1);

    expect(harness.notified[1]).toMatchObject({
      severity: 'info',
      title: 'async-upload: the guard has started again',
      message: expect.stringContaining('This was open until then: the guard is blind.'),
      incident: { key: harness.notified[0]!.incident!.key, status: 'resolved' },
    });
  });

  it('does not advance the rollout, and says why', async () => {
    const provider = await providerWith([{ name: 'async-upload', strategies: [percent(10)] }]);
    await register(domain, provider);
    const stages = [10, 50].map((percentage) => ({ percentage, minOutcomes: 5, minSuccessRate: 0.9 }));
    const guard = await harness.started({ flags: provider, tickMs: 10, stages, advance: 'automatic' });
    await register(domain, other());
    const upload = guard.operation(arms);
    for (let user = 0; user < 10; user++) await upload({ targetingKey: `user-${user}` }, undefined);

    await harness.until('it waits', () => harness.reported('advance-waiting').length > 0);

    expect(harness.reported('advance-waiting')).toMatchObject([
      { from: 10, to: 50, reason: 'the guard is blind (provider-replaced).' },
    ]);
    expect(harness.unleash.rollout).toBe(10);
  });

  it('still runs the control in its operations after a stop', async () => {
    const provider = await unleash();
    await register(domain, provider);
    const guard = await harness.started({ flags: provider, folder: false });
    await register(domain, other());
    const upload = guard.operation(arms);
    expect(await upload({ targetingKey: 'u' }, undefined)).toBe('new');

    await harness.fail(guard);
    await harness.until('the stop', () => guard.state.status === 'stopped');

    expect(await upload({ targetingKey: 'u' }, undefined)).toBe('old');
  });

  it('notices it before the first operation, and in a client of its own', async () => {
    const [first, second] = [await unleash(), await unleash()];
    const elsewhere = randomUUID();
    await register(domain, first);
    await register(elsewhere, second);
    const guard = await harness.started({ flags: first, folder: false });
    const client = OpenFeature.getClient(elsewhere);
    const withClient = await harness.started({ flags: second, client, folder: false });

    await register(domain, other());
    await register(elsewhere, await unleash());

    expect(codes(guard)).toEqual(['provider-replaced']);
    expect(codes(withClient)).toEqual(['provider-replaced']);
  });

  it('goes on where the provider is still registered', async () => {
    const provider = await unleash();
    const second = randomUUID();
    await register(domain, provider);
    await register(second, provider);
    const guard = await harness.started({ flags: provider, folder: false, tickMs: 10 });
    const upload = guard.operation(arms);
    await upload({ targetingKey: 'u' }, undefined);

    await register(domain, new InMemoryProvider({}));
    await harness.ticks(2);

    expect(codes(guard)).toEqual([]);
    expect(await upload({ targetingKey: 'u' }, undefined)).toBe('new');
    await register(second, other());
    expect(codes(guard)).toEqual(['provider-replaced']);
  });

  it('is not blind for that when a MultiProvider has the provider now, nor before anything was registered', async () => {
    const provider = await unleash();
    const guard = await harness.started({ flags: provider, folder: false });
    expect(codes(guard)).toEqual([]);
    await register(
      domain,
      new MultiProvider([{ provider }, { provider: new InMemoryProvider({}), name: 'other' }]),
    );
    expect(codes(guard)).toEqual([]);
  });

  it('is not blind for that when everything is closed', async () => {
    const provider = await unleash();
    await register(domain, provider);
    const guard = await harness.started({ flags: provider, folder: false, tickMs: 10 });

    await OpenFeature.close();
    await harness.ticks(2);

    expect(codes(guard)).toEqual([]);
    await OpenFeature.clearProviders();
  });
});
