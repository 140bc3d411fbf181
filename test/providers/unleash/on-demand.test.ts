import { randomUUID } from 'node:crypto';
import { type Client, OpenFeature, ProviderEvents, ProviderStatus } from '@openfeature/server-sdk';
import { type ClientFeaturesResponse, InMemStorageProvider } from 'unleash-client';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  type ImpressionEvent,
  UnleashProvider,
  type UnleashProviderOptions,
} from '../../../providers/unleash/provider.js';
import { version } from '../../../src/support/version.js';
import { eventually } from '../../helpers/eventually.js';
import { flagOf, percent, type TestFlag } from './bootstrapped.js';
import { type LoopbackUnleash, startLoopbackUnleash } from './loopback-unleash.js';

const stateOf = (...flags: TestFlag[]) => ({ version: 2, features: flags.map(flagOf) });
const blue = [{ name: 'blue', weight: 1000, payload: { type: 'string' as never, value: 'b' } }];

let unleash: LoopbackUnleash;

beforeEach(async () => {
  unleash = await startLoopbackUnleash(stateOf({ strategies: [percent(100)] }));
  return () => unleash[Symbol.asyncDispose]();
});

function providerOf(options: Partial<UnleashProviderOptions> = {}): UnleashProvider {
  const provider = new UnleashProvider({
    url: unleash.url,
    appName: 'on-demand',
    refreshInterval: 60_000,
    metricsInterval: 60_000,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    logger: false,
    ...options,
  });
  onTestFinished(() => provider.onClose());
  return provider;
}

async function registered(provider: UnleashProvider): Promise<Client> {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

const evaluation = async (client: Client) => {
  const { value, reason, flagMetadata } = await client.getBooleanDetails('upload', false, {
    targetingKey: 'u',
  });
  return { value, reason, chance: flagMetadata.chance };
};

describe('refresh', () => {
  it('resolves when what Unleash has now is evaluated', async () => {
    const provider = providerOf();
    const client = await registered(provider);
    unleash.answer = stateOf({ enabled: false });

    await provider.refresh();

    expect(await evaluation(client)).toMatchObject({ value: false, reason: 'DISABLED' });
  });

  it('asks again when a poll was already under way, and polls no more often afterwards', async () => {
    const provider = providerOf({ refreshInterval: 300 });
    const client = await registered(provider);
    const waiting: (() => void)[] = [];
    unleash.handler = ({ url = '' }, response) => {
      if (!url.endsWith('/features')) return false;
      const body = JSON.stringify(unleash.answer);
      waiting.push(() => response.writeHead(200, { 'content-type': 'application/json' }).end(body));
      return true;
    };

    const [first, second] = [provider.refresh(), provider.refresh()];
    await eventually(() => expect(waiting).toHaveLength(1));
    unleash.answer = stateOf({ enabled: false });
    const third = provider.refresh();
    unleash.handler = undefined;
    waiting[0]!();
    await Promise.all([first, second, third]);

    expect(await evaluation(client)).toMatchObject({ value: false });
    const polls = unleash.polls.length;
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(unleash.polls.length - polls).toBeLessThanOrEqual(1 + (performance.now() - from) / 300);
  });

  it('rejects with the reason when Unleash does not answer as it should', async () => {
    const provider = providerOf();
    await registered(provider);

    unleash.answer = 418;
    await expect(provider.refresh()).rejects.toThrow(/418/);
    unleash.answer = 401;
    await expect(provider.refresh()).rejects.toThrow(/refused the token/);
  });

  it('rejects before the provider is initialized, after it was closed, and when nothing is fetched', async () => {
    const provider = providerOf();
    await expect(provider.refresh()).rejects.toThrow(/not initialized/);
    await registered(provider);
    await provider.onClose();
    await expect(provider.refresh()).rejects.toThrow(/was closed/);

    const still = providerOf({ refreshInterval: 0, bootstrap: { data: [flagOf({})] } });
    await registered(still);
    await expect(still.refresh()).rejects.toThrow(/refreshInterval is 0/);
  });
});

describe('flags of an earlier run', () => {
  const backup = async () => {
    const storage = new InMemStorageProvider<ClientFeaturesResponse>();
    await storage.set('on-demand', stateOf({ strategies: [percent(50)] }) as never);
    return storage;
  };

  it('give way to those of Unleash before OpenFeature is ready, when it answers soon', async () => {
    const client = await registered(providerOf({ storageProvider: await backup() }));

    expect(await evaluation(client)).toEqual({ value: true, reason: 'STATIC', chance: undefined });
  });

  it('answer as stale, without a chance, until Unleash has confirmed them', async () => {
    unleash.answer = 'never';
    const provider = providerOf({ storageProvider: await backup(), timeout: 1_500, refreshInterval: 50 });
    const events: string[] = [];
    for (const type of [ProviderEvents.Ready, ProviderEvents.Stale])
      provider.events.addHandler(type, () => events.push(type));

    const client = await registered(provider);

    expect(await evaluation(client)).toMatchObject({ reason: 'STALE', chance: undefined });
    expect(provider.health()).toMatchObject({ status: 'stale', message: expect.stringContaining('backup') });
    await eventually(() => expect(client.providerStatus).toBe(ProviderStatus.STALE));
    unleash.answer = stateOf({ strategies: [percent(50)] });
    await eventually(async () =>
      expect(await evaluation(client)).toMatchObject({ reason: 'SPLIT', chance: 0.5 }),
    );
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(events).toEqual([ProviderEvents.Stale, ProviderEvents.Ready]);
  });

  it('of a bootstrap are current when nothing is ever fetched', async () => {
    const provider = providerOf({
      refreshInterval: 0,
      disableMetrics: true,
      bootstrap: { data: [flagOf({ strategies: [percent(50)] })] },
    });

    expect(await evaluation(await registered(provider))).toMatchObject({ reason: 'SPLIT', chance: 0.5 });
  });
});

describe('a boolean evaluation of a flag whose strategy has variants', () => {
  it('counts once, as isEnabled does, and is named after the variant', async () => {
    unleash.answer = stateOf({ strategies: [percent(100, { variants: blue })] });
    const provider = providerOf();
    const client = await registered(provider);

    expect(await client.getBooleanDetails('upload', false, { targetingKey: 'u' })).toMatchObject({
      value: true,
      variant: 'blue',
    });
    expect(await client.getStringValue('upload', '', { targetingKey: 'u' })).toBe('b');
    await provider.flush();

    expect(unleash.sentMetrics[0]?.bucket.toggles.upload).toEqual({ yes: 2, no: 0, variants: { blue: 1 } });
  });

  it('is an impression of isEnabled', async () => {
    unleash.answer = stateOf({ impressionData: true, strategies: [percent(100, { variants: blue })] });
    const provider = providerOf();
    const impressions: ImpressionEvent[] = [];
    provider.onImpression(() => {
      throw new Error('a fault of a listener');
    });
    const remove = provider.onImpression((event) => impressions.push(event));
    const client = await registered(provider);

    await client.getBooleanValue('upload', false, { targetingKey: 'u' });
    await client.getStringValue('upload', '', { targetingKey: 'u' });
    remove();
    await client.getBooleanValue('upload', false, { targetingKey: 'u' });

    expect(impressions).toMatchObject([
      { eventType: 'isEnabled', featureName: 'upload', enabled: true, context: { userId: 'u' } },
      { eventType: 'getVariant', featureName: 'upload', variant: 'blue' },
    ]);
  });
});

describe('a boolean evaluation of a flag that is off for all', () => {
  const off = { enabled: false, strategies: [percent(100, { variants: blue })] };

  it('is counted as off, once', async () => {
    unleash.answer = stateOf(off);
    const provider = providerOf();
    const client = await registered(provider);

    expect(await client.getBooleanDetails('upload', true, { targetingKey: 'u' })).toMatchObject({
      value: false,
      variant: 'off',
      reason: 'DISABLED',
    });
    await provider.flush();

    expect(unleash.sentMetrics[0]?.bucket.toggles.upload).toEqual({ yes: 0, no: 1, variants: {} });
  });

  it('is an impression, where the flag has impression data', async () => {
    unleash.answer = stateOf({ ...off, impressionData: true });
    const provider = providerOf();
    const impressions: ImpressionEvent[] = [];
    provider.onImpression((event) => impressions.push(event));
    const client = await registered(provider);

    await client.getBooleanValue('upload', true, { targetingKey: 'u' });

    expect(impressions).toMatchObject([{ eventType: 'isEnabled', enabled: false, context: { userId: 'u' } }]);
  });
});

describe('what Unleash is told of the connection', () => {
  it.each([
    ['this package', {}, { sdkFlavor: 'unleash-rollout-guard', sdkFlavorVersion: version }],
    [
      'a flavor of the user',
      { sdkFlavor: 'shop', sdkFlavorVersion: '2' },
      { sdkFlavor: 'shop', sdkFlavorVersion: '2' },
    ],
  ])('names %s', async (_, options, expected) => {
    const provider = providerOf(options);
    const client = await registered(provider);
    await client.getBooleanValue('upload', false);

    await provider.flush();

    expect(unleash.sentMetrics[0]).toMatchObject(expected);
  });
});

describe('an SDK that leaves it to providers to say how they started', () => {
  it('gets READY once, and today it comes once too', async () => {
    const emitted = vi.fn();
    const today = providerOf();
    today.events.addHandler(ProviderEvents.Ready, emitted);
    await registered(today);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(emitted).not.toHaveBeenCalled();

    const tomorrow = providerOf();
    tomorrow.events.addHandler(ProviderEvents.Ready, emitted);
    // The SDK has registered it, and has emitted nothing.
    const metadata = { providerMetadata: tomorrow.metadata };
    vi.spyOn(tomorrow, 'defaultClient').mockReturnValue({
      metadata,
      providerStatus: ProviderStatus.NOT_READY,
    } as Client);
    await tomorrow.initialize();

    await eventually(() => expect(emitted).toHaveBeenCalledTimes(1));
  });

  it('gets ERROR with its code', async () => {
    unleash.answer = 401;
    const provider = providerOf();
    const failed = vi.fn();
    provider.events.addHandler(ProviderEvents.Error, failed);
    const metadata = { providerMetadata: provider.metadata };
    vi.spyOn(provider, 'defaultClient').mockReturnValue({
      metadata,
      providerStatus: ProviderStatus.NOT_READY,
    } as Client);

    await expect(provider.initialize()).rejects.toThrow(/refused the token/);

    await eventually(() =>
      expect(failed).toHaveBeenCalledWith(expect.objectContaining({ errorCode: 'PROVIDER_FATAL' })),
    );
  });
});
