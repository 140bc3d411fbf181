import { randomUUID } from 'node:crypto';
import { type Client, OpenFeature, ProviderEvents, ProviderStatus } from '@openfeature/server-sdk';
import { type ClientFeaturesResponse, InMemStorageProvider, Unleash } from 'unleash-client';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnleashProvider, type UnleashProviderOptions } from '../../../providers/unleash/provider.js';
import type { Logger } from '../../../src/support/logger.js';
import { flagOf, is, percent, type TestFlag } from './bootstrapped.js';
import { FakeRepository } from './fake-repository.js';

const upload = (percentage: number, more: TestFlag = {}): TestFlag => ({
  ...more,
  strategies: [percent(percentage)],
});
const search: TestFlag = { name: 'search' };

const base = {
  url: 'http://localhost/api',
  appName: 'shop',
  disableMetrics: true,
  skipInstanceCountWarning: true,
  storageProvider: new InMemStorageProvider<ClientFeaturesResponse>(),
  logger: false,
} as const;

/** A provider on a fake repository, its OpenFeature client, and the events that reached that client. */
function setUp(more: Partial<UnleashProviderOptions> = {}) {
  const repository = new FakeRepository();
  const provider = new UnleashProvider({ ...base, repository, ...more });
  onTestFinished(() => provider.onClose());
  const domain = randomUUID();
  const client = OpenFeature.getClient(domain);
  const events: (readonly [string, (readonly string[])?])[] = [];
  const register = () => {
    const ready = OpenFeature.setProviderAndWait(domain, provider);
    for (const event of Object.values(ProviderEvents)) {
      client.addHandler(event as ProviderEvents.ConfigurationChanged, (details) => {
        const name = event.replace('PROVIDER_', '');
        events.push(details?.flagsChanged === undefined ? [name] : [name, details.flagsChanged]);
      });
    }
    return ready;
  };
  return { repository, provider, client, events, register };
}

/** Lets events on their way through OpenFeature's emitters, and `setImmediate`, arrive. */
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

async function ready(flags: readonly TestFlag[], more: Partial<UnleashProviderOptions> = {}) {
  const parts = setUp(more);
  const registered = parts.register();
  parts.repository.load(flags);
  await registered;
  await settled();
  parts.events.length = 0;
  return parts;
}

const reasonOf = async (client: Client) =>
  (await client.getBooleanDetails('upload', false, { targetingKey: 'u' })).reason;

describe('initializing', () => {
  beforeEach(() => {
    // The clock as well: time limits do not count what a machine that is busy takes from this process.
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it.each<[string, (repository: FakeRepository) => void]>([
    ['the server', (repository) => repository.load([upload(50)])],
    ['a backup', (repository) => repository.set([upload(50)])],
    ['a server that has no flags yet', (repository) => repository.load([])],
  ])('ends with the first data, from %s, and leaves no timer', async (_, bring) => {
    const { repository, client, events, register } = setUp();
    const registered = register();

    bring(repository);
    await registered;

    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(vi.getTimerCount()).toBe(0);
    await settled();
    expect(events).toEqual([['READY']]);
  });

  it('reports the flags of the first data to listeners', async () => {
    const { repository, provider, register } = setUp();
    const appeared: string[] = [];
    provider.onChange((key) => appeared.push(key));
    const registered = register();

    repository.load([upload(50), search]);
    await registered;

    expect(appeared).toEqual(['upload', 'search']);
  });

  it('fails after the time-out, keeps trying, and recovers with READY', async () => {
    const { repository, client, events, register } = setUp({ initializationTimeoutMs: 2_000 });
    const registered = register();
    const failure = expect(registered).rejects.toMatchObject({
      code: 'PROVIDER_NOT_READY',
      message: expect.stringMatching(
        /within 2000 ms; the provider keeps trying\. Last problem: connect ECONNREFUSED/,
      ),
    });

    repository.fail();
    await vi.advanceTimersByTimeAsync(2_000);
    await failure;
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(await client.getBooleanDetails('upload', true)).toMatchObject({
      value: true,
      errorCode: 'PROVIDER_NOT_READY',
    });

    repository.load([upload(100)]);
    await settled();
    expect(client.providerStatus).toBe(ProviderStatus.READY);
    expect(events).toEqual([['ERROR'], ['READY']]);
    expect(await client.getBooleanDetails('upload', false)).toMatchObject({ value: true, reason: 'STATIC' });
  });

  it.each([401, 403])(
    'fails with PROVIDER_FATAL when Unleash replies %i, names the token that it needs, and recovers',
    async (status) => {
      const { repository, client, register } = setUp();
      const registered = register();

      repository.fail(
        `http://localhost/api/client/features responded ${status} which means your API key is not allowed`,
      );

      await expect(registered).rejects.toMatchObject({
        code: 'PROVIDER_FATAL',
        message: expect.stringMatching(new RegExp(`\\(${status}\\).*backend token`)),
      });
      expect(client.providerStatus).toBe(ProviderStatus.FATAL);
      expect([repository.stopped, vi.getTimerCount()]).toEqual([0, 0]);

      repository.load([upload(100)]);
      await settled();
      expect(client.providerStatus).toBe(ProviderStatus.READY);
      expect(await client.getBooleanValue('upload', false)).toBe(true);
    },
  );

  it('serves a backup when Unleash refuses the token, as stale', async () => {
    const { repository, client, register } = setUp();
    const registered = register();

    repository.set([upload(50)]);
    repository.fail(
      'http://localhost/api/client/features responded 401 which means your API key is not allowed',
    );
    await registered;
    await settled();

    expect([client.providerStatus, await reasonOf(client)]).toEqual([ProviderStatus.STALE, 'STALE']);
  });

  it('is stale at once when a backup was read and the first poll had failed', async () => {
    const { repository, client, events, register } = setUp();
    const registered = register();

    repository.fail();
    repository.set([upload(50)]);
    await registered;
    await settled();

    expect(events).toEqual([['READY'], ['STALE']]);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
  });

  it('fails at once when nothing is ever fetched and there is no other data', async () => {
    const provider = new UnleashProvider({
      ...base,
      refreshInterval: 0,
      storageProvider: new InMemStorageProvider(),
    });
    onTestFinished(() => provider.onClose());

    await expect(provider.initialize()).rejects.toMatchObject({
      code: 'PROVIDER_NOT_READY',
      message: expect.stringContaining('refreshInterval is 0'),
    });
  });

  it('fails when the provider is closed meanwhile', async () => {
    const { provider, repository } = setUp();
    const initialized = provider.initialize();

    await Promise.all([
      expect(initialized).rejects.toMatchObject({
        code: 'PROVIDER_NOT_READY',
        message: expect.stringContaining('closed'),
      }),
      provider.onClose(),
    ]);
    expect([repository.stopped, vi.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('losing the connection', () => {
  it.each<[string, (repository: FakeRepository) => void]>([
    ['an error', (repository) => repository.fail()],
    [
      '404',
      (repository) => repository.warn('http://localhost/api responded FILE_NOT_FOUND (404). Backing off'),
    ],
    ['503', (repository) => repository.warn('http://localhost/api responded 503. Backing off')],
  ])('keeps the data and emits STALE, once, after %s', async (_, fail) => {
    const { repository, client, events } = await ready([upload(50)]);

    fail(repository);
    fail(repository);
    await settled();

    expect(events).toEqual([['STALE']]);
    expect([client.providerStatus, await reasonOf(client)]).toEqual([ProviderStatus.STALE, 'STALE']);
  });

  it.each<[string, (repository: FakeRepository) => void]>([
    ['unchanged data', (repository) => repository.unchanged()],
    ['the same data again', (repository) => repository.load([upload(50)])],
  ])('ends with %s', async (_, succeed) => {
    const { repository, client, events } = await ready([upload(50)]);
    repository.fail();

    succeed(repository);
    await settled();

    expect(events).toEqual([['STALE'], ['READY']]);
    expect([client.providerStatus, await reasonOf(client)]).toEqual([ProviderStatus.READY, 'SPLIT']);
  });

  it.each<[string, (repository: FakeRepository) => void]>([
    [
      'a malformed flag',
      (repository) => repository.fail('feature.variants should be an array, but was object'),
    ],
    ['a backup that cannot be read', (repository) => repository.warn('Unleash storage failed parsing file')],
  ])('is not caused by %s', async (_, happen) => {
    const { repository, events } = await ready([upload(50)]);

    happen(repository);
    await settled();

    expect(events).toEqual([]);
  });

  it('reports again when the token turns out to be refused', async () => {
    const { repository, provider, events } = await ready([upload(50)]);
    const messages: unknown[] = [];
    provider.events.addHandler(ProviderEvents.Stale, (details) => messages.push(details?.message));

    repository.fail();
    repository.fail(
      'http://localhost/api/client/features responded 403 which means your API key is not allowed',
    );
    repository.fail(
      'http://localhost/api/client/features responded 403 which means your API key is not allowed',
    );
    await settled();

    expect(events).toEqual([['STALE'], ['STALE']]);
    expect(messages).toEqual([
      expect.stringContaining('ECONNREFUSED'),
      expect.stringContaining('backend token'),
    ]);
  });

  it('keeps a stopped flag stopped', async () => {
    const { repository, provider, client } = await ready([upload(100)]);
    provider.override('upload', 'too many errors');

    repository.fail();

    expect(await reasonOf(client)).toBe('DISABLED');
  });

  it('is logged once, and never through a faulty logger into the application', async () => {
    const warn = vi.fn(() => {
      throw new Error('a fault of the logger');
    });
    const logger: Logger = { debug: vi.fn(), info: vi.fn(), warn, error: vi.fn() };
    const { repository } = await ready([upload(50)], { logger });

    repository.fail();
    repository.fail();

    expect(warn.mock.calls).toEqual([
      [{ problem: 'connect ECONNREFUSED 127.0.0.1:80' }, 'The connection to Unleash is lost'],
    ]);
  });
});

describe('changing definitions', () => {
  const beta = { strategies: [percent(100, { segments: [1] })] };
  const child = { name: 'child', dependencies: [{ feature: 'upload' }] };

  it.each<[string, TestFlag[], TestFlag[], string[]]>([
    ['a percentage', [upload(10), search], [upload(50), search], ['upload']],
    ['nothing but a description', [upload(10)], [upload(10, { description: 'new' })], []],
    ['nothing', [upload(10), search], [upload(10), search], []],
    ['a flag that is new', [upload(10)], [upload(10), search], ['search']],
    ['a flag that is gone', [upload(10), search], [search], ['upload']],
    ['a parent', [upload(10), child, search], [upload(50), child, search], ['upload', 'child']],
  ])('reports %s', async (_, before, after, changed) => {
    const { repository, provider, events } = await ready(before);
    const reported: string[] = [];
    provider.onChange((key) => reported.push(key));

    repository.load(after);
    await settled();

    expect(events).toEqual(changed.length === 0 ? [] : [['CONFIGURATION_CHANGED', changed]]);
    expect(reported).toEqual(changed);
  });

  it('reports the flags of a segment whose contents changed', async () => {
    const { repository, client, events } = await ready([beta, search]);
    const evaluate = async () => (await client.getBooleanDetails('upload', false, { plan: 'beta' })).value;
    repository.load([beta, search], [{ id: 1, constraints: [is('plan', 'pro')] }]);
    const before = await evaluate();

    repository.load([beta, search], [{ id: 1, constraints: [is('plan', 'beta')] }]);
    await settled();

    expect([before, await evaluate()]).toEqual([false, true]);
    expect(events.at(-1)).toEqual(['CONFIGURATION_CHANGED', ['upload']]);
  });

  it('evaluates and describes by the new definitions at once', async () => {
    const { repository, provider, client } = await ready([upload(0)]);

    repository.load([upload(100)]);

    expect(provider.flag('upload')?.rolloutPercentage).toBe(100);
    expect(await client.getBooleanDetails('upload', false)).toMatchObject({
      value: true,
      flagMetadata: { rolloutPercentage: 100 },
    });
  });

  it('notifies the other listeners when one fails, and none that was removed', async () => {
    const { repository, provider } = await ready([upload(0)]);
    const reported: string[] = [];
    provider.onChange(() => {
      throw new Error('a fault of a listener');
    });
    provider.onChange((key) => reported.push(`kept ${key}`));
    provider.onChange((key) => reported.push(`removed ${key}`))();

    repository.load([upload(10)]);

    expect(reported).toEqual(['kept upload']);
  });

  it.each<[string, object]>([
    ['a variant that is null', { variants: [null] }],
    ['a strategy that is null', { strategies: [null] }],
    ['strategies that are text', { strategies: 'all' }],
    ['segments that are an object', { strategies: [{ name: 'default', segments: {} }] }],
  ])('skips a definition with %s and serves the other flags', async (_, malformed) => {
    const { repository, client } = await ready([upload(100)]);
    const odd = { name: 'odd', enabled: true, strategies: [], ...malformed };
    const strategies = [{ name: 'default', segments: [1] }];

    repository.loadAsSent(
      [flagOf(upload(100)), odd, flagOf({ name: 'known', strategies })],
      [{ id: 1, constraints: [] }],
    );

    expect(await client.getBooleanValue('known', false)).toBe(true);
    expect(await client.getBooleanDetails('upload', false)).toMatchObject({ value: true, reason: 'STATIC' });
    expect(await client.getBooleanDetails('odd', false)).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' });
  });
});

describe('with a client of your own', () => {
  function ownClient() {
    const repository = new FakeRepository();
    const unleash = new Unleash({ ...base, repository, disableAutoStart: true });
    const provider = new UnleashProvider(unleash, { logger: false });
    onTestFinished(() => unleash.destroy());
    return { repository, unleash, provider };
  }

  it('is ready at once when the client has data already', async () => {
    const { repository, unleash, provider } = ownClient();
    await unleash.start();
    repository.load([upload(100)]);

    await provider.initialize();

    expect(await provider.resolveBooleanEvaluation('upload', false, {})).toMatchObject({ value: true });
    expect(repository.started).toBe(1);
  });

  it('starts a client that has not been started', async () => {
    const { repository, provider } = ownClient();

    const initialized = provider.initialize();
    repository.load([upload(100)]);
    await initialized;

    expect(repository.started).toBe(1);
  });

  it('fails with PROVIDER_FATAL when the token is refused, and leaves the client to its owner', async () => {
    const { repository, provider } = ownClient();

    const initialized = provider.initialize();
    repository.fail(
      'http://localhost/api/client/features responded 401 which means your API key is not allowed',
    );

    await expect(initialized).rejects.toMatchObject({ code: 'PROVIDER_FATAL' });
    expect(repository.stopped).toBe(0);
  });

  it('leaves the client running when it is closed, without its own listeners', async () => {
    const { repository, unleash, provider } = ownClient();
    const listeners = () => unleash.eventNames().map((name) => unleash.listenerCount(name));
    const before = listeners();
    const initialized = provider.initialize();
    repository.load([upload(100)]);
    await initialized;

    await provider.onClose();

    expect(listeners()).toEqual(before);
    expect(repository.stopped).toBe(0);
    expect(unleash.isEnabled('upload')).toBe(true);
    expect(await provider.resolveBooleanEvaluation('upload', false, {})).toMatchObject({
      errorCode: 'PROVIDER_NOT_READY',
    });
  });
});
