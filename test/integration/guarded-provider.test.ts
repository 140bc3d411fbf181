import { randomUUID } from 'node:crypto';
import { ComparisonStrategy, InMemoryProvider, MultiProvider, OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  criticalErrors,
  GuardedProvider,
  OutcomeHook,
  RolloutGuard,
  UnleashProvider,
} from '../../src/index.js';
import { eventually } from '../helpers/eventually.js';
import { personalToken } from '../helpers/personal-token.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

function providerOf(): UnleashProvider {
  return new UnleashProvider({
    url: unleash.apiUrl,
    appName: 'guarded-provider',
    customHeaders: { Authorization: unleash.clientToken },
    refreshInterval: 200,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    logger: false,
  });
}

async function flagWithSegment(flagKey: string, percentage: number): Promise<void> {
  const { id } = await segment(`${flagKey}-${randomUUID()}`);
  const strategy = {
    name: 'flexibleRollout',
    parameters: { rollout: String(percentage), stickiness: 'default', groupId: flagKey },
    constraints: [{ contextName: 'plan', operator: 'IN', values: ['pro'] }],
    segments: [id],
  };
  await unleash.createFlag(flagKey, { strategies: [strategy] });
}

async function segment(name: string): Promise<{ id: number }> {
  const constraints = [{ contextName: 'country', operator: 'IN', values: ['DE', 'FR'] }];
  await unleash.request('POST', '/api/admin/segments', { name, constraints });
  const { segments } = (await unleash.request('GET', '/api/admin/segments')) as {
    segments: { id: number; name: string }[];
  };
  return segments.find((segment) => segment.name === name)!;
}

describe('GuardedProvider with a real Unleash', () => {
  it('reads through the admin API what a client token reads, segments and parents included', async () => {
    const [flagKey, parent] = ['guarded-facts', 'guarded-facts-parent'];
    // The child first: where the test is tried again, its parent cannot be removed before it.
    await flagWithSegment(flagKey, 40);
    await unleash.createFlag(parent, { percentage: 100, enabled: true });
    await unleash.request('POST', `/api/admin/projects/default/features/${flagKey}/dependencies`, {
      feature: parent,
    });
    const { apiUrl: url, environment } = unleash;
    const pat = await personalToken(unleash, 'guarded-facts', 'viewer');
    const sources = [
      { url, token: unleash.clientToken },
      { url, token: unleash.adminToken, environment },
      { url: unleash.url, token: pat, environment },
    ].map(
      (from) =>
        new GuardedProvider(providerOf(), { unleash: { ...from, refreshIntervalMs: 200 }, logger: false }),
    );
    for (const provider of sources) {
      provider.flag(flagKey);
      await OpenFeature.setProviderAndWait(randomUUID(), provider);
      onTestFinished(() => provider.onClose());
    }

    await eventually(() => {
      const [fromClient, ...fromAdmin] = sources.map((provider) => provider.flag(flagKey));
      expect(fromClient).toMatchObject({ enabled: true, rolloutPercentage: 40, strategy: 'flexibleRollout' });
      expect(fromAdmin).toEqual([fromClient, fromClient]);
    });
    const inside = { targetingKey: 'u7', plan: 'pro', country: 'DE' };
    for (const provider of sources) {
      await eventually(async () => {
        const { flagMetadata } = await provider.defaultClient().getBooleanDetails(flagKey, false, inside);
        expect(flagMetadata).toMatchObject({
          chance: 0.4,
          contextId: 'u7',
          flagSetId: `default/${environment}`,
        });
      });
      const outside = await provider
        .defaultClient()
        .getBooleanDetails(flagKey, false, { targetingKey: 'u7' });
      expect(outside.flagMetadata.chance).toBeUndefined();
    }
  });

  it('sees a flag that is made, changed, turned off and archived, through the admin API', async () => {
    const flagKey = 'guarded-life';
    const { url, adminToken: token, environment } = unleash;
    const provider = new GuardedProvider(new InMemoryProvider({}), {
      unleash: { url, token, environment, refreshIntervalMs: 200 },
      logger: false,
    });
    onTestFinished(() => provider.onClose());
    await provider.initialize();
    expect(provider.flag(flagKey)).toBeUndefined();
    await eventually(() => expect(provider.health().status).toBe('ok'));

    await unleash.createFlag(flagKey, { percentage: 10, enabled: true });
    await eventually(() =>
      expect(provider.flag(flagKey)).toMatchObject({ enabled: true, rolloutPercentage: 10 }),
    );
    await unleash.setPercentage(flagKey, 25);
    await eventually(() => expect(provider.flag(flagKey)?.rolloutPercentage).toBe(25));
    await unleash.disable(flagKey);
    await provider.refresh();
    expect(provider.flag(flagKey)?.enabled).toBe(false);
    await unleash.request('DELETE', `/api/admin/projects/default/features/${flagKey}`);
    await eventually(() => expect(provider.flag(flagKey)).toBeUndefined());
  });

  it.each([
    ['a wrong admin token', '*:*.00000000', /refused the token.*401/],
    ['an environment that does not exist', undefined, /no environment "nowhere"/],
  ])('says what is wrong with %s', async (_, token, problem) => {
    const flagKey = `guarded-wrong-${token === undefined}`;
    await unleash.createFlag(flagKey, { percentage: 10, enabled: true });
    const provider = new GuardedProvider(new InMemoryProvider({}), {
      unleash: {
        url: unleash.url,
        token: token ?? unleash.adminToken,
        environment: token === undefined ? 'nowhere' : unleash.environment,
        refreshIntervalMs: 200,
      },
      initializationTimeoutMs: 100,
      logger: false,
    });
    onTestFinished(() => provider.onClose());
    provider.flag(flagKey);
    await provider.initialize();

    await eventually(() =>
      expect(provider.health()).toMatchObject({ status: 'error', message: expect.stringMatching(problem) }),
    );
  });

  it('lets a guard stop a flag behind a MultiProvider that compares', async () => {
    const flagKey = 'guarded-stop';
    await unleash.createFlag(flagKey, { percentage: 100, enabled: true });
    const compared = new InMemoryProvider({
      [flagKey]: { variants: { on: true }, defaultVariant: 'on', disabled: false },
    });
    const multi = new MultiProvider(
      [{ provider: providerOf() }, { provider: compared }],
      new ComparisonStrategy(compared),
    );
    const { apiUrl: url, adminToken: token, environment } = unleash;
    const access = { url, token, environment };
    const provider = new GuardedProvider(multi, {
      unleash: { ...access, refreshIntervalMs: 200 },
      logger: false,
    });
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, provider);
    onTestFinished(() => provider.onClose());
    const guard = new RolloutGuard({
      flagKey,
      flags: provider,
      unleash: access,
      rollback: [criticalErrors()],
      folder: false,
      tickMs: 50,
      logger: false,
    });
    onTestFinished(() => guard.close());
    OpenFeature.getClient(domain).addHooks(new OutcomeHook(guard));
    await guard.start();
    await eventually(() => expect(guard.status().flag?.enabled).toBe(true));
    const upload = guard.operation<undefined, string>({
      treatment: async () => {
        throw Object.assign(new Error('out of memory'), { code: 'ENOMEM' });
      },
      control: async () => 'old',
      retries: 0,
    });

    expect(await upload({ targetingKey: 'u' }, undefined)).toBe('old');

    await eventually(() => expect(guard.state.status).toBe('stopped'));
    expect(await provider.defaultClient().getBooleanDetails(flagKey, true)).toMatchObject({
      value: false,
      reason: 'DISABLED',
    });
    expect(await unleash.flag(flagKey)).toMatchObject({ enabled: false });
  });
});
