import { randomUUID } from 'node:crypto';
import {
  ComparisonStrategy,
  FirstMatchStrategy,
  FirstSuccessfulStrategy,
  InMemoryProvider,
  MultiProvider,
  OpenFeature,
  type Provider,
} from '@openfeature/server-sdk';
import { describe, expect, it, onTestFinished } from 'vitest';
import { GuardedProvider } from '../../../providers/guarded/guarded-provider.js';
import { cameThrough } from '../../../src/model/flags.js';
import { flagOf, percent, providerWith } from '../unleash/bootstrapped.js';
import { startLoopbackUnleash } from '../unleash/loopback-unleash.js';

const other = () =>
  new InMemoryProvider({
    upload: { variants: { on: true }, defaultVariant: 'on', disabled: false },
  });

type Strategy = 'first match' | 'first successful' | 'comparison';

function multi(strategy: Strategy, providers: readonly Provider[]): MultiProvider {
  const entries = providers.map((provider) => ({ provider }));
  switch (strategy) {
    case 'first match':
      return new MultiProvider(entries, new FirstMatchStrategy());
    case 'first successful':
      return new MultiProvider(entries, new FirstSuccessfulStrategy());
    case 'comparison':
      return new MultiProvider(entries, new ComparisonStrategy(providers.at(-1)!));
  }
}

async function evaluate(provider: Provider) {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  onTestFinished(() => provider.onClose?.());
  return OpenFeature.getClient(domain).getBooleanDetails('upload', true, { targetingKey: 'u' });
}

async function guarded(inner: Provider): Promise<GuardedProvider> {
  const flags = [flagOf({ project: 'default', type: 'release', strategies: [percent(100)] })];
  const unleash = await startLoopbackUnleash({ version: 2, features: flags });
  onTestFinished(() => unleash[Symbol.asyncDispose]());
  return new GuardedProvider(inner, {
    unleash: { url: unleash.url, token: 'default:development.secret' },
    logger: false,
  });
}

describe('an override around a MultiProvider', () => {
  it.each<[Strategy, 'first' | 'last']>([
    ['first match', 'first'],
    ['first match', 'last'],
    ['first successful', 'first'],
    ['first successful', 'last'],
    ['comparison', 'first'],
    ['comparison', 'last'],
  ])('holds by the strategy %s, with Unleash %s', async (strategy, place) => {
    const unleash = await providerWith([{ strategies: [percent(100)] }]);
    const providers = place === 'first' ? [unleash, other()] : [other(), unleash];
    const provider = await guarded(multi(strategy, providers));

    expect(await evaluate(provider)).toMatchObject({ value: true });
    provider.override('upload', 'too many errors');

    expect(await OpenFeature.getClient(domainOf(provider)).getBooleanDetails('upload', true)).toMatchObject({
      value: false,
      reason: 'DISABLED',
      flagMetadata: { stoppedByGuard: true },
    });
  });

  it('leaves the evaluations of a guarded flag to the strategy', async () => {
    const unleash = await providerWith([{ strategies: [percent(100)] }]);
    const provider = await guarded(multi('comparison', [unleash, other()]));
    provider.flag('upload');

    expect(await evaluate(provider)).toMatchObject({ value: true });
  });

  it('makes evaluations those of the guarded provider, of the inner ones too', async () => {
    const unleash = await providerWith([{ strategies: [percent(100)] }]);
    const inner = multi('first match', [unleash, other()]);
    const provider = await guarded(inner);

    expect(cameThrough(provider.metadata, provider.metadata)).toBe(true);
    expect(cameThrough(unleash.metadata, provider.metadata)).toBe(true);
    expect(cameThrough(provider.metadata, inner.metadata)).toBe(false);
    expect(cameThrough(provider.metadata, multi('first match', [provider]).metadata)).toBe(true);
  });
});

describe('an override within a MultiProvider', () => {
  // docs/provider.md has this table.
  it.each<[Strategy, 'first' | 'last', boolean]>([
    ['first match', 'first', true],
    ['first match', 'last', false],
    ['first successful', 'first', true],
    ['first successful', 'last', false],
    ['comparison', 'first', false],
    ['comparison', 'last', true],
  ])('by the strategy %s, with Unleash %s: holds is %s', async (strategy, place, holds) => {
    const unleash = await providerWith([{ strategies: [percent(100)] }]);
    const providers = place === 'first' ? [unleash, other()] : [other(), unleash];
    const provider = multi(strategy, providers);
    unleash.override('upload', 'too many errors');

    expect((await evaluate(provider)).value).toBe(!holds);
  });
});

function domainOf(provider: GuardedProvider): string {
  return provider.defaultClient().metadata.domain!;
}
