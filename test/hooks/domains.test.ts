import { randomUUID } from 'node:crypto';
import { InMemoryProvider, MultiProvider, OpenFeature, type Provider } from '@openfeature/server-sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OutcomeHook } from '../../hooks/outcome-hook.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { unreportedAbove } from '../../src/triggers/event-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { percent, providerWith } from '../providers/unleash/bootstrapped.js';

/** A provider whose Unleash has the guarded flag at this percentage. */
const providerAt = (percentage: number) =>
  providerWith([{ name: 'async-upload', strategies: [percent(percentage)] }]);

/** A domain of its own for a provider, with its client. */
async function domainOf(provider: Provider) {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

/** What 60 users of a client bring: evaluations, failing uploads, complaints. */
async function useBy(client: Awaited<ReturnType<typeof domainOf>>, name: string): Promise<void> {
  for (let user = 0; user < 60; user++) {
    const context = { targetingKey: `${name}-${user}` };
    await client.getBooleanValue('async-upload', false, context);
    client.track('async-upload', context, { value: 5, success: false });
    client.track('async-upload.complaint', context);
  }
}

const countsOf = (guard: RolloutGuard) => {
  const { treatment, control } = guard.status().snapshot.total;
  return {
    treatment: [treatment.failures, treatment.complaints],
    control: [control.failures, control.complaints],
  };
};

describe('guards of one flag in two domains', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(async () => {
    OpenFeature.clearHooks();
    await harness.close();
  });

  it('count the evaluations, outcomes and complaints of their own provider only', async () => {
    const [eu, us] = [await providerAt(0), await providerAt(100)];
    const [euClient, usClient] = [await domainOf(eu), await domainOf(us)];
    const guard = await harness.started({
      flags: eu,
      outcomeTimeoutMs: 1,
      rollback: [unreportedAbove(), successRateBelow(0)],
    });
    OpenFeature.addHooks(new OutcomeHook(guard));

    await useBy(usClient, 'us');
    await harness.ticks(3);
    expect(countsOf(guard)).toEqual({ treatment: [0, 0], control: [0, 0] });
    expect(guard.status().snapshot.windows.map(({ exposures }) => exposures.treatment.due)).toEqual([0]);
    expect(guard.state.status).toBe('armed');

    await useBy(euClient, 'eu');
    expect(countsOf(guard)).toEqual({ treatment: [0, 0], control: [60, 60] });
    expect(guard.status().unattributedComplaints).toBe(0);
  });

  it('share one hook, each with its own', async () => {
    const [eu, us] = [await providerAt(0), await providerAt(100)];
    const [euClient, usClient] = [await domainOf(eu), await domainOf(us)];
    const euGuard = await harness.started({ flags: eu, folder: false, dryRun: true });
    const usGuard = await harness.started({ flags: us, folder: false, dryRun: true });
    OpenFeature.addHooks(new OutcomeHook(euGuard, usGuard));

    await Promise.all([useBy(usClient, 'us'), useBy(euClient, 'eu')]);

    expect([countsOf(euGuard), countsOf(usGuard)]).toEqual([
      { treatment: [0, 0], control: [60, 60] },
      { treatment: [60, 60], control: [0, 0] },
    ]);
  });

  it('count for a provider in every domain that it is registered in, the default one too', async () => {
    const provider = await providerAt(100);
    const first = await domainOf(provider);
    const second = await domainOf(provider);
    await OpenFeature.setProviderAndWait(provider);
    const guard = await harness.started({ flags: provider, folder: false, dryRun: true });
    OpenFeature.addHooks(new OutcomeHook(guard));

    await useBy(first, 'first');
    await useBy(second, 'second');
    await useBy(OpenFeature.getClient('a domain without a provider'), 'default');

    expect(countsOf(guard)).toEqual({ treatment: [180, 180], control: [0, 0] });
  });

  it('count what a MultiProvider gets from their provider', async () => {
    const provider = await providerAt(100);
    const client = await domainOf(
      new MultiProvider([{ provider }, { provider: new InMemoryProvider({}), name: 'other' }]),
    );
    const guard = await harness.started({ flags: provider, folder: false, dryRun: true });
    OpenFeature.addHooks(new OutcomeHook(guard));

    await useBy(client, 'multi');

    expect(countsOf(guard)).toEqual({ treatment: [60, 60], control: [0, 0] });
  });

  it('count what a MultiProvider in MultiProviders gets from their provider', async () => {
    const provider = await providerAt(100);
    const within = (inner: Provider) =>
      new MultiProvider([
        { provider: inner, name: 'inner' },
        { provider: new InMemoryProvider({}), name: 'other' },
      ]);
    const client = await domainOf(within(within(within(provider))));
    const guard = await harness.started({ flags: provider, folder: false, dryRun: true, client });
    OpenFeature.addHooks(new OutcomeHook(guard));

    await useBy(client, 'nested');
    await guard.operation({ treatment: () => 'new', control: () => 'old' })({ targetingKey: 'u' }, undefined);

    expect(countsOf(guard)).toEqual({ treatment: [60, 60], control: [0, 0] });
    expect(harness.reported('fault')).toEqual([]);
  });

  it('evaluate their operations in the domain of their provider', async () => {
    const [eu, us] = [await providerAt(0), await providerAt(100)];
    await OpenFeature.setProviderAndWait(us);
    await domainOf(eu);
    const guard = await harness.started({ flags: eu, folder: false, dryRun: true });
    const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });

    expect(await upload({ targetingKey: 'u' }, undefined)).toBe('old');
    expect(harness.reported('fault')).toEqual([]);
  });

  it('say once that the flag is evaluated, and never through their provider', async () => {
    const [eu, us] = [await providerAt(0), await providerAt(100)];
    const usClient = await domainOf(us);
    const guard = await harness.started({ flags: eu, folder: false, dryRun: true });
    OpenFeature.addHooks(new OutcomeHook(guard));

    await useBy(usClient, 'us');
    await useBy(usClient, 'us');

    expect(harness.reported('fault')).toMatchObject([
      { message: expect.stringMatching(/through the provider "unleash" only.*"metadata"/) },
    ]);
  });

  it('say so of a client option that evaluates through another provider', async () => {
    const [eu, us] = [await providerAt(0), await providerAt(100)];
    const client = await domainOf(us);
    const guard = await harness.started({ flags: eu, client, folder: false, dryRun: true });
    const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });

    await upload({ targetingKey: 'u' }, undefined);
    await upload({ targetingKey: 'u' }, undefined);

    expect(harness.reported('fault')).toHaveLength(1);
  });
});
