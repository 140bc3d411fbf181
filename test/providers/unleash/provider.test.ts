import { randomUUID } from 'node:crypto';
import {
  type Client,
  type EvaluationDetails,
  type FlagValue,
  type JsonValue,
  OpenFeature,
  ProviderEvents,
} from '@openfeature/server-sdk';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnleashProvider } from '../../../providers/unleash/provider.js';
import type { TrackedEvent } from '../../../src/model/flags.js';
import { flagOf, is, percent, providerWith, type TestFlag } from './bootstrapped.js';

const payload = (type: string, value: string) => ({ type: type as never, value });
const variant = (name: string, type: string, value: string) => ({
  name,
  weight: 1000,
  payload: payload(type, value),
});

const flags: TestFlag[] = [
  { name: 'upload', project: 'shop', type: 'release', strategies: [percent(50)] },
  { name: 'everyone', strategies: [{}] },
  { name: 'off', enabled: false, variants: [variant('blue', 'string', 'b')] },
  { name: 'named', strategies: [percent(100, { variants: [variant('blue', 'string', 'b')] })] },
  { name: 'colour', variants: [variant('blue', 'string', '#00f')] },
  { name: 'columns', variants: [variant('two', 'csv', 'a,b')] },
  { name: 'limit', variants: [variant('five', 'number', '5')] },
  { name: 'theme', variants: [variant('dark', 'json', '{"dark":true}')] },
  { name: 'broken', variants: [variant('odd', 'number', '')] },
  { name: 'spoilt', variants: [variant('odd', 'json', '{')] },
];

async function clientOf(provider: UnleashProvider): Promise<Client> {
  const domain = randomUUID();
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

type ValueType = 'Boolean' | 'String' | 'Number' | 'Object';

function detailsOf(client: Client, type: ValueType, flagKey: string, defaultValue: unknown) {
  const context = { targetingKey: 'u' };
  const get: Record<ValueType, () => Promise<EvaluationDetails<FlagValue>>> = {
    Boolean: () => client.getBooleanDetails(flagKey, defaultValue as boolean, context),
    String: () => client.getStringDetails(flagKey, defaultValue as string, context),
    Number: () => client.getNumberDetails(flagKey, defaultValue as number, context),
    Object: () => client.getObjectDetails(flagKey, defaultValue as JsonValue, context),
  };
  return get[type]();
}

describe('UnleashProvider', () => {
  it('introduces itself to OpenFeature', async () => {
    const provider = await providerWith(flags);

    expect([provider.metadata.name, provider.runsOn]).toEqual(['unleash', 'server']);
  });

  it.each<[string, ValueType, unknown, object]>([
    ['everyone', 'Boolean', false, { value: true, variant: 'on', reason: 'STATIC' }],
    ['off', 'Boolean', true, { value: false, variant: 'off', reason: 'DISABLED' }],
    ['named', 'Boolean', false, { value: true, variant: 'blue', reason: 'STATIC' }],
    ['colour', 'Boolean', false, { value: true, variant: 'on', reason: 'STATIC' }],
    ['colour', 'String', '', { value: '#00f', variant: 'blue', reason: 'STATIC' }],
    ['columns', 'String', '', { value: 'a,b', variant: 'two', reason: 'STATIC' }],
    ['limit', 'Number', 0, { value: 5, variant: 'five', reason: 'STATIC' }],
    ['theme', 'Object', {}, { value: { dark: true }, variant: 'dark', reason: 'STATIC' }],
    ['off', 'String', 'mine', { value: 'mine', reason: 'DISABLED' }],
    ['everyone', 'Number', 7, { value: 7, reason: 'DEFAULT' }],
    ['limit', 'String', 'mine', { value: 'mine', reason: 'ERROR', errorCode: 'TYPE_MISMATCH' }],
    ['broken', 'Number', 7, { value: 7, reason: 'ERROR', errorCode: 'PARSE_ERROR' }],
    ['spoilt', 'Object', { a: 1 }, { value: { a: 1 }, reason: 'ERROR', errorCode: 'PARSE_ERROR' }],
    ['missing', 'Boolean', true, { value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' }],
    ['missing', 'Object', { a: 1 }, { value: { a: 1 }, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' }],
    ['constructor', 'Boolean', true, { value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' }],
  ])('resolves the flag %s as %s', async (flagKey, type, defaultValue, expected) => {
    const client = await clientOf(await providerWith(flags));

    const details = await detailsOf(client, type, flagKey, defaultValue);

    expect(details).toMatchObject(expected);
    if (!('variant' in expected)) expect(details.variant).toBeUndefined();
  });

  it('describes the definition in frozen metadata that evaluations share', async () => {
    const provider = await providerWith(flags);
    const resolve = () => provider.resolveBooleanEvaluation('everyone', false, { targetingKey: 'u' });

    const { flagMetadata } = await resolve();

    expect(flagMetadata).toEqual({
      enabled: true,
      rolloutPercentage: 100,
      strategy: 'default',
      version: provider.flag('everyone')?.revision,
    });
    expect(flagMetadata).toSatisfy(Object.isFrozen);
    expect((await resolve()).flagMetadata).toBe(flagMetadata);
  });

  it.each(['everyone', 'off', 'upload'])(
    'lets no caller change the answers of others for %s',
    async (key) => {
      const provider = await providerWith(flags);
      const resolve = () => provider.resolveBooleanEvaluation(key, false, { targetingKey: 'u' });
      const first = await resolve();
      const copy = structuredClone(first);

      Reflect.set(first, 'value', 'changed');
      for (const name of Object.keys(first.flagMetadata!)) Reflect.set(first.flagMetadata!, name, 'changed');

      expect(await resolve()).toStrictEqual(copy);
    },
  );

  it.each<[string, string | undefined, string | undefined]>([
    ['nothing of an environment that nobody has named', undefined, undefined],
    ['the environment that the client was given', 'staging', 'shop/staging'],
  ])('names as the set of flags of a running client %s', async (_, environment, flagSetId) => {
    const unleash = new Unleash({
      url: 'http://localhost/api',
      appName: 'shop',
      ...(environment !== undefined && { environment }),
      refreshInterval: 0,
      disableMetrics: true,
      skipInstanceCountWarning: true,
      storageProvider: new InMemStorageProvider(),
      bootstrap: { data: [flagOf({ project: 'shop' })] },
    });
    onTestFinished(() => unleash.destroy());
    const provider = new UnleashProvider(unleash, { logger: false });
    onTestFinished(() => provider.onClose());
    await provider.initialize();

    const { flagMetadata } = await provider.resolveBooleanEvaluation('upload', false, {});

    expect(flagMetadata?.flagSetId).toBe(flagSetId);
  });

  it('adds the chance and what was drawn by where chance decided', async () => {
    const provider = await providerWith(flags);

    const { flagMetadata } = await provider.resolveBooleanEvaluation('upload', false, { targetingKey: 'u' });

    expect(flagMetadata).toStrictEqual({
      enabled: true,
      rolloutPercentage: 50,
      strategy: 'flexibleRollout',
      project: 'shop',
      type: 'release',
      flagSetId: 'shop/production',
      version: provider.flag('upload')?.revision,
      chance: 0.5,
      contextId: 'u',
    });
    expect((await provider.resolveBooleanEvaluation('upload', false, {})).flagMetadata).toStrictEqual({
      enabled: true,
      rolloutPercentage: 50,
      strategy: 'flexibleRollout',
      project: 'shop',
      type: 'release',
      flagSetId: 'shop/production',
      version: provider.flag('upload')?.revision,
      chance: 0.5,
    });
  });

  it('names the type of the payload, of an unreadable one too', async () => {
    const client = await clientOf(await providerWith(flags));

    expect((await client.getStringDetails('columns', '')).flagMetadata).toMatchObject({ payloadType: 'csv' });
    expect((await client.getNumberDetails('broken', 0)).flagMetadata).toMatchObject({
      payloadType: 'number',
    });
    expect((await client.getStringDetails('limit', '')).flagMetadata).toMatchObject({
      payloadType: 'number',
    });
  });

  it('is not ready before it is initialized and after it is closed', async () => {
    const provider = await providerWith(flags);
    const fresh = new UnleashProvider({ url: 'http://localhost/api', appName: 'shop', logger: false });
    const expected = { value: true, reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY' };

    expect(await fresh.resolveBooleanEvaluation('everyone', true, {})).toMatchObject(expected);
    await provider.onClose();
    expect(await provider.resolveBooleanEvaluation('everyone', true, {})).toMatchObject({
      ...expected,
      errorMessage: expect.stringContaining('was closed'),
    });
    expect(provider.health()).toMatchObject({ status: 'error' });
    expect(await provider.resolveStringEvaluation('colour', 'mine', {})).toMatchObject({
      ...expected,
      value: 'mine',
    });
  });

  it('can be initialized again after it was closed', async () => {
    const provider = await providerWith(flags);

    await provider.onClose();
    await provider.initialize();

    expect(await provider.resolveBooleanEvaluation('everyone', false, {})).toMatchObject({ value: true });
  });

  it('hands dates, numbers and booleans to constraints', async () => {
    const adults = {
      contextName: 'age',
      operator: 'NUM_GTE',
      value: '18',
      values: [],
      inverted: false,
    } as never;
    const summer = {
      contextName: 'currentTime',
      operator: 'DATE_AFTER',
      value: '2026-06-01T00:00:00Z',
      values: [],
      inverted: false,
    } as never;
    const provider = await providerWith([
      { strategies: [{ constraints: [adults, summer, is('paying', 'true')] }] },
    ]);
    const evaluate = async (age: number, currentTime: Date) =>
      (await provider.resolveBooleanEvaluation('upload', false, { age, currentTime, paying: true })).value;

    const [july, may] = [new Date('2026-07-01'), new Date('2026-05-01')];
    expect([await evaluate(18, july), await evaluate(17, july), await evaluate(18, may)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('reports an attribute that is left out once, and a bounded number of them', async () => {
    const client = await clientOf(await providerWith(flags));
    const debug = vi.fn();
    client.setLogger({ debug, info: vi.fn(), warn: vi.fn(), error: vi.fn() });

    await client.getBooleanValue('everyone', false, { tags: ['a'] });
    await client.getBooleanValue('everyone', false, { tags: ['b'] });
    expect(debug.mock.calls).toEqual([[expect.stringContaining('"tags"')]]);

    for (let i = 0; i < 200; i++) await client.getBooleanValue('everyone', false, { [`tags${i}`]: ['a'] });
    expect(debug).toHaveBeenCalledTimes(100);
  });

  describe('as a source of flags', () => {
    it('returns the facts of a flag', async () => {
      const provider = await providerWith(flags);

      expect(provider.flag('upload')).toMatchObject({ key: 'upload', enabled: true, rolloutPercentage: 50 });
      expect(provider.flag('missing')).toBeUndefined();
    });

    it.each<[string, 'Boolean' | 'String', unknown, unknown]>([
      ['everyone', 'Boolean', true, false],
      ['colour', 'String', 'mine', 'mine'],
      ['missing', 'Boolean', true, false],
    ])(
      'answers for the stopped flag %s as %s that it is off, and why',
      async (flagKey, type, defaultValue, value) => {
        const provider = await providerWith(flags);
        const client = await clientOf(provider);

        provider.override(flagKey, 'too many errors');

        const details = await detailsOf(client, type, flagKey, defaultValue);
        expect(provider.isOverridden(flagKey)).toBe(true);
        expect(details).toMatchObject({
          value,
          reason: 'DISABLED',
          flagMetadata: { stoppedByGuard: true, stopReason: 'too many errors' },
        });
        expect(details.errorCode).toBeUndefined();
      },
    );

    it('keeps the definition in the metadata of a stopped flag', async () => {
      const provider = await providerWith(flags);

      provider.override('upload', 'too many errors');

      const { flagMetadata } = await provider.resolveBooleanEvaluation('upload', true, {});
      expect(flagMetadata).toMatchObject({ enabled: true, rolloutPercentage: 50, stoppedByGuard: true });
    });

    it('evaluates as in Unleash once the override is cleared', async () => {
      const provider = await providerWith(flags);
      provider.override('everyone', 'too many errors');

      provider.clearOverride('everyone');

      expect(provider.isOverridden('everyone')).toBe(false);
      expect(await provider.resolveBooleanEvaluation('everyone', false, {})).toMatchObject({
        value: true,
        reason: 'STATIC',
      });
    });

    it('keeps a flag stopped from before the first data on', async () => {
      const provider = new UnleashProvider({ url: 'http://localhost/api', appName: 'shop', logger: false });

      provider.override('upload', 'stopped before a crash');

      expect(await provider.resolveBooleanEvaluation('upload', true, {})).toMatchObject({
        value: false,
        reason: 'DISABLED',
      });
    });

    it('reports to OpenFeature that an override and its end change the flag', async () => {
      const provider = await providerWith(flags);
      const changes: unknown[] = [];
      provider.events.addHandler(ProviderEvents.ConfigurationChanged, (details) =>
        changes.push(details?.flagsChanged),
      );

      provider.clearOverride('upload');
      provider.override('upload', 'too many errors');
      provider.override('upload', 'too many errors');
      provider.clearOverride('upload');

      expect(changes).toEqual([['upload'], ['upload']]);
    });

    it('hands what is tracked to every listener, also past a faulty one', async () => {
      const provider = await providerWith(flags);
      const client = await clientOf(provider);
      const seen: TrackedEvent[] = [];
      provider.onTrack(() => {
        throw new Error('a fault of a listener');
      });
      const remove = provider.onTrack((event) => seen.push(event));

      client.track('upload', { targetingKey: 'u' }, { value: 120, success: true });
      client.track('upload');
      remove();
      client.track('upload');

      expect(seen).toEqual([
        { name: 'upload', targetingKey: 'u', value: 120, details: { success: true } },
        { name: 'upload', targetingKey: undefined, value: undefined, details: {} },
      ]);
    });

    it('evaluates with the domain that it was registered under', async () => {
      const provider = await providerWith(flags);
      await provider.onClose();
      await clientOf(provider);

      expect(await provider.defaultClient().getBooleanDetails('everyone', false)).toMatchObject({
        value: true,
      });
    });
  });

  describe('counting usage', () => {
    it('counts what callers were answered, a stopped and a missing flag as off', async () => {
      const unleash = new Unleash({
        url: 'http://localhost/api',
        appName: 'shop',
        refreshInterval: 0,
        metricsInterval: 0,
        skipInstanceCountWarning: true,
        storageProvider: new InMemStorageProvider(),
        bootstrap: { data: flags.map(flagOf) },
      });
      const counts: [string, boolean | string][] = [];
      unleash.on('count', (name: string, enabled: boolean) => counts.push([name, enabled]));
      vi.spyOn(unleash, 'countVariant').mockImplementation((name, variant) => counts.push([name, variant]));
      const provider = new UnleashProvider(unleash, { logger: false });
      await provider.initialize();

      await provider.resolveBooleanEvaluation('everyone', false, {});
      await provider.resolveBooleanEvaluation('missing', true, {});
      await provider.resolveNumberEvaluation('missing', 1, {});
      provider.override('everyone', 'too many errors');
      await provider.resolveBooleanEvaluation('everyone', true, {});
      await provider.resolveStringEvaluation('everyone', 'mine', {});
      unleash.destroy();

      expect(counts).toEqual([
        ['everyone', true],
        ['missing', false],
        ['missing', false],
        ['missing', 'disabled'],
        ['everyone', false],
        ['everyone', false],
        ['everyone', 'disabled'],
      ]);
    });
  });
});
