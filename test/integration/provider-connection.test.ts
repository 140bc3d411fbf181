import { randomUUID } from 'node:crypto';
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { UnleashProvider, type UnleashProviderOptions } from '../../src/index.js';
import { eventually } from '../helpers/eventually.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

function providerOf(options: Partial<UnleashProviderOptions> = {}): UnleashProvider {
  const provider = new UnleashProvider({
    url: unleash.apiUrl,
    appName: `connection-${randomUUID()}`,
    customHeaders: { Authorization: unleash.clientToken },
    refreshInterval: 500,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    logger: false,
    ...options,
  });
  onTestFinished(() => provider.onClose());
  return provider;
}

describe('the connection to a real Unleash', () => {
  it('that streams falls back to polls where Unleash does not stream, and changes arrive', async () => {
    const flagKey = 'connection-streaming';
    await unleash.createFlag(flagKey, { percentage: 100, enabled: true });
    const provider = providerOf({ experimentalMode: { type: 'streaming' } });
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, provider);
    const client = OpenFeature.getClient(domain);

    await eventually(async () => expect(await client.getBooleanValue(flagKey, false)).toBe(true));
    await unleash.disable(flagKey);
    await eventually(async () => expect(await client.getBooleanValue(flagKey, true)).toBe(false));
    await eventually(() => expect(provider.health().status).toBe('ok'));
  });

  it('that wants deltas says that this Unleash has none', async () => {
    const provider = providerOf({
      experimentalMode: { type: 'polling', format: 'delta' },
      initializationTimeoutMs: 6_000,
    });

    await expect(provider.initialize()).rejects.toThrow(
      /sends no deltas: leave out the option experimentalMode/,
    );
  });

  it('shows in Unleash what is connected', async () => {
    const flagKey = 'connection-flavor';
    const appName = `connection-${randomUUID()}`;
    await unleash.createFlag(flagKey, { percentage: 100, enabled: true });
    const provider = providerOf({ appName });
    await provider.initialize();
    await provider.refresh();
    await provider.resolveBooleanEvaluation(flagKey, false, {});
    await provider.flush();

    await eventually(async () => {
      const path = `/api/admin/metrics/instances/${appName}/environment/${unleash.environment}`;
      const { instances } = (await unleash.request('GET', path)) as { instances: { sdkVersion: string }[] };
      expect(instances).toHaveLength(1);
    });
  });
});
