import { randomUUID } from 'node:crypto';
import {
  type InMemoryProvider as InMemory,
  InMemoryProvider,
  MultiProvider,
  OpenFeature,
} from '@openfeature/server-sdk';
import { describe, expect, it, onTestFinished } from 'vitest';
import { GuardedProvider } from '../../providers/guarded/guarded-provider.js';
import { providerWith } from './unleash/bootstrapped.js';
import { startLoopbackUnleash } from './unleash/loopback-unleash.js';

const providers = {
  UnleashProvider: () => providerWith([{}]),
  async GuardedProvider() {
    const unleash = await startLoopbackUnleash({ version: 2, features: [] });
    onTestFinished(() => unleash[Symbol.asyncDispose]());
    const provider = new GuardedProvider(new InMemoryProvider({}), {
      unleash: { url: unleash.url, token: 'default:development.secret' },
      logger: false,
    });
    onTestFinished(() => provider.onClose());
    return provider;
  },
};

describe.each(Object.entries(providers))('the default client of a %s', (_, make) => {
  const domainOf = async (provider: InMemory | Awaited<ReturnType<typeof make>> | MultiProvider) => {
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, provider);
    return domain;
  };

  it('is of the first domain, and of another when the provider is there no longer', async () => {
    const provider = await make();
    const first = await domainOf(provider);
    const [second, third] = [await domainOf(provider), await domainOf(provider)];
    const domain = () => provider.defaultClient().metadata.domain;

    expect(domain()).toBe(first);
    await OpenFeature.setProviderAndWait(first, new InMemoryProvider({}));
    expect([second, third]).toContain(domain());
    await OpenFeature.setProviderAndWait(second, new InMemoryProvider({}));
    expect(domain()).toBe(third);
    await OpenFeature.setProviderAndWait(third, new InMemoryProvider({}));
    expect(domain()).toBe(first);
  });

  it('is found where the SDK does not say in which domain the provider is, as before version 1.23', async () => {
    const provider = await make();
    const initialize = provider.initialize.bind(provider);
    provider.initialize = () => initialize();
    const domain = await domainOf(provider);

    expect(provider.defaultClient().metadata.domain).toBe(domain);
  });

  it('is that of a MultiProvider which has the provider', async () => {
    const provider = await make();
    await domainOf(new InMemoryProvider({}));
    const domain = await domainOf(new MultiProvider([{ provider }]));

    expect(provider.defaultClient().metadata.domain).toBe(domain);
  });
});
