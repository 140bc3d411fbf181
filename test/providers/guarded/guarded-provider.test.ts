import { randomUUID } from 'node:crypto';
import {
  type Client,
  type EvaluationContext,
  InMemoryProvider,
  OpenFeature,
  type Provider,
  ProviderEvents,
  ProviderStatus,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { InMemStorageProvider, PayloadType } from 'unleash-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { GuardedProvider, type GuardedProviderOptions } from '../../../providers/guarded/guarded-provider.js';
import { UnleashProvider } from '../../../providers/unleash/provider.js';
import { eventually } from '../../helpers/eventually.js';
import { flagOf, percent, type TestFlag } from '../unleash/bootstrapped.js';
import { type LoopbackUnleash, startLoopbackUnleash } from '../unleash/loopback-unleash.js';
import { PlainProvider } from './plain-provider.js';

const TOKEN = 'default:development.secret';
const upload = (share: number): TestFlag => ({
  project: 'default',
  type: 'release',
  strategies: [percent(share)],
});
const stateOf = (...flags: TestFlag[]) => ({ version: 2, features: flags.map(flagOf) });

async function unleashWith(...flags: TestFlag[]): Promise<LoopbackUnleash> {
  const unleash = await startLoopbackUnleash(stateOf(...flags));
  onTestFinished(() => unleash[Symbol.asyncDispose]());
  return unleash;
}

async function guard(
  inner: Provider,
  url: string,
  options: Partial<GuardedProviderOptions> = {},
): Promise<{ readonly provider: GuardedProvider; readonly client: Client }> {
  const provider = new GuardedProvider(inner, {
    unleash: { url, token: TOKEN, refreshIntervalMs: 50, timeoutMs: 500 },
    logger: false,
    ...options,
  });
  const domain = randomUUID();
  onTestFinished(() => provider.onClose());
  await OpenFeature.setProviderAndWait(domain, provider);
  return { provider, client: OpenFeature.getClient(domain) };
}

const inMemory = (on = true) =>
  new InMemoryProvider({
    upload: { variants: { on: true, off: false }, defaultVariant: on ? 'on' : 'off', disabled: false },
    colour: { variants: { blue: '#00f' }, defaultVariant: 'blue', disabled: false },
    limit: { variants: { five: 5 }, defaultVariant: 'five', disabled: false },
    theme: { variants: { dark: { dark: true } }, defaultVariant: 'dark', disabled: false },
  });

/** A provider whose boolean evaluations are made by the test. */
function answering(answer: (context: EvaluationContext) => unknown): Provider {
  const provider = inMemory();
  provider.resolveBooleanEvaluation = (async (_: string, __: boolean, context: EvaluationContext) =>
    answer(context)) as never;
  return provider;
}

describe('GuardedProvider', () => {
  it('passes evaluations of every type through, of flags that nobody guards without a change', async () => {
    const inner = inMemory();
    const { provider, client } = await guard(inner, (await unleashWith(upload(50))).url);
    const spy = vi.spyOn(inner, 'resolveBooleanEvaluation');

    const answered = provider.resolveBooleanEvaluation('upload', false, {}, console);

    expect(answered).toBe(spy.mock.results[0]?.value);
    expect(await client.getStringDetails('colour', '')).toMatchObject({ value: '#00f', variant: 'blue' });
    expect(await client.getNumberValue('limit', 0)).toBe(5);
    expect(await client.getObjectValue('theme', {})).toEqual({ dark: true });
    expect(await client.getBooleanDetails('missing', true)).toMatchObject({
      value: true,
      errorCode: 'FLAG_NOT_FOUND',
    });
    expect(provider.metadata.name).toBe(inner.metadata.name);
    expect(provider.metadata).not.toBe(inner.metadata);
  });

  it('has the name of a provider whose metadata inherits it', async () => {
    const metadata = Object.create({ name: 'inherited' });
    const inner = Object.assign(inMemory(), { metadata }) as Provider;
    const { client } = await guard(inner, (await unleashWith()).url);

    expect(client.metadata.providerMetadata.name).toBe('inherited');
  });

  it('has the hooks and events of the wrapped provider, and its tracking', async () => {
    const inner = new PlainProvider((await unleashWith(upload(50))).url);
    const hook = { before: vi.fn() };
    Object.assign(inner, { hooks: [hook] });
    const { provider, client } = await guard(inner, (await unleashWith(upload(50))).url);
    const [stale, tracked] = [vi.fn(), vi.fn()];
    client.addHandler(ProviderEvents.Stale, stale);
    provider.onTrack(tracked);

    await client.getBooleanValue('upload', false);
    inner.events.emit(ProviderEvents.Stale, { message: 'cut off' });
    client.track('upload.complaint', { targetingKey: 'u' }, { value: 3 });

    expect(hook.before).toHaveBeenCalledTimes(1);
    expect(stale).toHaveBeenCalledWith(expect.objectContaining({ message: 'cut off' }));
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(provider.health()).toMatchObject({ status: 'stale', message: expect.stringContaining('cut off') });
    expect(inner.tracked).toEqual(['upload.complaint']);
    expect(tracked).toHaveBeenCalledWith({
      name: 'upload.complaint',
      targetingKey: 'u',
      value: 3,
      details: {},
    });
    inner.events.emit(ProviderEvents.Ready, {});
    expect(provider.health().status).toBe('ok');
  });

  it('is initialized and closed as the wrapped provider is', async () => {
    const { url } = await unleashWith(upload(50));
    const failing = inMemory();
    Object.assign(failing, { initialize: () => Promise.reject(new Error('no licence')) });
    const provider = new GuardedProvider(failing, { unleash: { url, token: TOKEN }, logger: false });
    const domain = randomUUID();
    await expect(OpenFeature.setProviderAndWait(domain, provider)).rejects.toThrow('no licence');
    expect(OpenFeature.getClient(domain).providerStatus).toBe(ProviderStatus.ERROR);
    await provider.onClose();

    const inner = new PlainProvider(url);
    const { provider: other } = await guard(inner, url);
    await other.onClose();
    expect(inner.closed).toBe(1);
    expect(other.health().status).toBe('error');
  });

  it.each<[string, (domain: string) => string]>([
    ['in another domain', () => randomUUID()],
    ['in its place', (domain) => domain],
  ])('leaves the wrapped provider open that is registered by itself %s', async (_, elsewhere) => {
    const { url } = await unleashWith(upload(100));
    const onClose = vi.fn(async () => {});
    const inner = Object.assign(inMemory(), { onClose });
    const { provider } = await guard(inner, url);
    const domain = provider.defaultClient().metadata.domain!;
    const own = elsewhere(domain);

    await OpenFeature.setProviderAndWait(own, inner);
    await OpenFeature.setProviderAndWait(domain, own === domain ? inner : inMemory());

    expect(onClose).not.toHaveBeenCalled();
    expect(provider.health().status).toBe('error');
    await OpenFeature.setProviderAndWait(own, inMemory());
    expect(onClose).toHaveBeenCalledTimes(1);
  });

  it('initializes the wrapped provider once, around which there is another guarded one', async () => {
    const { url } = await unleashWith(upload(100));
    const initialize = vi.fn(async () => {});
    const onClose = vi.fn(async () => {});
    const inner = Object.assign(inMemory(), { initialize, onClose });

    const [first, second] = await Promise.all([guard(inner, url), guard(inner, url)]);

    expect(initialize).toHaveBeenCalledTimes(1);
    await first.provider.onClose();
    expect(onClose).not.toHaveBeenCalled();
    await second.provider.onClose();
    expect(onClose).toHaveBeenCalledTimes(1);
    await second.provider.initialize();
    expect(initialize).toHaveBeenCalledTimes(2);
  });

  it('wraps a provider that is registered already, in its place and for another domain', async () => {
    const { url } = await unleashWith(upload(100));
    const calls: string[] = [];
    const inner = Object.assign(inMemory(), {
      initialize: async () => void calls.push('initialize'),
      onClose: async () => void calls.push('close'),
    });
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, inner);

    await guard(inner, url);
    expect(calls).toEqual(['initialize']);
    const guarded = new GuardedProvider(inner, { unleash: { url, token: TOKEN }, logger: false });
    onTestFinished(() => guarded.onClose());
    await OpenFeature.setProviderAndWait(domain, guarded);
    expect(calls.at(-1)).toBe('initialize');
    expect(await OpenFeature.getClient(domain).getBooleanValue('upload', false)).toBe(true);
  });

  it('initializes the wrapped provider although another one with the same metadata is registered', async () => {
    const { url } = await unleashWith(upload(100));
    const metadata = { name: 'shared' };
    const initialize = vi.fn(async () => {});
    await OpenFeature.setProviderAndWait(randomUUID(), Object.assign(inMemory(), { metadata }) as Provider);

    await guard(Object.assign(inMemory(), { metadata, initialize }) as Provider, url);

    expect(initialize).toHaveBeenCalledTimes(1);
  });

  it('can take the place of an UnleashProvider that runs', async () => {
    const { url } = await unleashWith(upload(100));
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(
      domain,
      new UnleashProvider({
        url,
        appName: 'shop',
        customHeaders: { Authorization: TOKEN },
        disableMetrics: true,
        storageProvider: new InMemStorageProvider(),
        skipInstanceCountWarning: true,
        logger: false,
      }),
    );
    const running = OpenFeature.getProvider(domain);

    const provider = new GuardedProvider(running, { unleash: { url, token: TOKEN }, logger: false });
    await OpenFeature.setProviderAndWait(domain, provider);
    onTestFinished(() => provider.onClose());

    expect(await OpenFeature.getClient(domain).getBooleanValue('upload', false)).toBe(true);
    expect(provider.health().status).toBe('ok');
  });

  it('leaves the wrapped provider open for the guarded one that takes its place', async () => {
    const { url } = await unleashWith(upload(100));
    const onClose = vi.fn(async () => {});
    const inner = Object.assign(inMemory(), { onClose });
    const { provider } = await guard(inner, url);
    const domain = provider.defaultClient().metadata.domain!;

    await OpenFeature.setProviderAndWait(
      domain,
      new GuardedProvider(inner, { unleash: { url, token: TOKEN }, logger: false }),
    );
    expect(onClose).not.toHaveBeenCalled();
    await OpenFeature.setProviderAndWait(domain, inMemory());

    expect(onClose).toHaveBeenCalledTimes(1);
  });

  it('is not healthy while the wrapped provider is not ready, nor when it cannot be', async () => {
    const { url } = await unleashWith(upload(50));
    let fail: (error: Error) => void = () => {};
    const opened = new Promise<void>((_, reject) => {
      fail = reject;
    });
    const inner = new PlainProvider(url);
    Object.assign(inner, { initialize: () => opened });
    const provider = new GuardedProvider(inner, { unleash: { url, token: TOKEN }, logger: false });
    onTestFinished(() => provider.onClose());
    provider.flag('upload');
    const initialized = provider.initialize();

    await eventually(() => expect(provider.flag('upload')).toBeDefined());
    expect(provider.health()).toMatchObject({
      status: 'stale',
      message: `The provider "${inner.metadata.name}" is not ready yet.`,
    });
    fail(new Error('no licence'));
    await expect(initialized).rejects.toThrow('no licence');
    expect(provider.health().message).toContain('cannot be initialized. no licence');
    inner.events.emit(ProviderEvents.Ready, {});
    expect(provider.health().status).toBe('ok');
  });

  it('is healthy when a provider without events answers although it could not be initialized', async () => {
    const { url } = await unleashWith(upload(100));
    const inner = Object.assign(inMemory(), {
      events: undefined,
      initialize: () => Promise.reject(new Error('late')),
    });
    const provider = new GuardedProvider(inner as Provider, {
      unleash: { url, token: TOKEN },
      logger: false,
    });
    const domain = randomUUID();
    onTestFinished(() => provider.onClose());
    provider.flag('upload');
    await expect(OpenFeature.setProviderAndWait(domain, provider)).rejects.toThrow('late');
    await eventually(() => expect(provider.flag('upload')).toBeDefined());
    expect(provider.health()).toMatchObject({ status: 'stale', message: expect.stringContaining('late') });

    expect(await OpenFeature.getClient(domain).getBooleanValue('upload', false)).toBe(true);

    expect(provider.health().status).toBe('ok');
  });

  it('sends what the wrapped provider counted, when that can', async () => {
    const { url } = await unleashWith(upload(50));
    const flush = vi.fn(async () => {});
    const { provider } = await guard(Object.assign(inMemory(), { flush }), url);
    await provider.flush();
    expect(flush).toHaveBeenCalledTimes(1);
    const { provider: other } = await guard(inMemory(), url);
    await expect(other.flush()).resolves.toBeUndefined();
  });

  it('emits READY once', async () => {
    const ready = vi.fn();
    const domain = randomUUID();
    OpenFeature.getClient(domain).addHandler(ProviderEvents.Ready, ready);
    ready.mockClear();
    const { url } = await unleashWith(upload(50));
    const provider = new GuardedProvider(inMemory(), { unleash: { url, token: TOKEN }, logger: false });
    onTestFinished(() => provider.onClose());

    await OpenFeature.setProviderAndWait(domain, provider);
    await new Promise((resolve) => setTimeout(resolve, 50));

    expect(ready).toHaveBeenCalledTimes(1);
  });

  it('gives the facts of a guarded flag, and the chance and unit of each evaluation', async () => {
    const unleash = await unleashWith(upload(50));
    const { provider, client } = await guard(new PlainProvider(unleash.url), unleash.url);

    expect(provider.flag('upload')).toMatchObject({ enabled: true, rolloutPercentage: 50 });
    const details = await client.getBooleanDetails('upload', false, { targetingKey: 'u1' });

    expect(details).toMatchObject({ reason: 'UNKNOWN' });
    expect(details.flagMetadata).toEqual({
      own: 1,
      enabled: true,
      rolloutPercentage: 50,
      strategy: 'flexibleRollout',
      project: 'default',
      type: 'release',
      flagSetId: 'default/development',
      version: provider.flag('upload')?.revision,
      chance: 0.5,
      contextId: 'u1',
      unleashReason: 'SPLIT',
    });
  });

  it.each<[string, number, unknown, string]>([
    ['of a flag for all', 100, { value: true, reason: 'TARGETING_MATCH' }, 'STATIC'],
    ['of a flag for nobody', 0, { value: false, reason: 'STATIC' }, 'STATIC'],
    [
      'of an answer whose error code is null',
      100,
      { value: true, reason: 'SPLIT', errorCode: null },
      'STATIC',
    ],
    ['of an answer that Unleash would not give', 0, { value: true, reason: 'STATIC' }, 'UNKNOWN'],
  ])('gives the reason %s as Unleash decides it, beside the own one', async (_, share, answer, expected) => {
    const { provider, client } = await guard(
      answering(() => answer),
      (await unleashWith(upload(share))).url,
    );
    provider.flag('upload');

    const { reason, flagMetadata } = await client.getBooleanDetails('upload', false, { targetingKey: 'u1' });

    expect([reason, flagMetadata.unleashReason]).toEqual([(answer as { reason: string }).reason, expected]);
  });

  it('does not know the reason while Unleash has no such flag, whatever the provider says', async () => {
    const { provider, client } = await guard(
      answering(() => ({ value: true, reason: 'STATIC', flagMetadata: { unleashReason: 'SPLIT' } })),
      (await unleashWith()).url,
    );
    provider.flag('upload');

    const { flagMetadata } = await client.getBooleanDetails('upload', false, { targetingKey: 'u1' });

    expect(flagMetadata).toEqual({ unleashReason: 'UNKNOWN' });
  });

  it('answers as the wrapped provider does when the definition cannot be evaluated', async () => {
    const { provider } = await guard(inMemory(), (await unleashWith(upload(50))).url);
    provider.flag('upload');
    const context = {
      get region(): string {
        throw new Error('not for everyone');
      },
    };

    const details = await provider.resolveBooleanEvaluation('upload', false, context, console);

    expect(details).toMatchObject({ value: true, flagMetadata: { unleashReason: 'UNKNOWN' } });
  });

  it.each<[string, object, boolean]>([
    ['the same value and no name', { value: '#00f' }, true],
    ['the same value and a name of its own', { value: '#00f', variant: 'enabled' }, true],
    ['the same name', { value: '#00F', variant: 'blue' }, true],
    ['another value', { value: '#f00' }, false],
  ])('trusts a provider that answers a variant with %s: %s', async (_, answer, isTrusted) => {
    const payload = { type: PayloadType.STRING, value: '#00f' };
    const variants = [
      { name: 'blue', weight: 1000, stickiness: 'default', payload, weightType: 'fix' as const },
    ];
    const inner = inMemory();
    inner.resolveStringEvaluation = async () => answer as ResolutionDetails<string>;
    const flag = { ...upload(100), strategies: [percent(100, { variants })] };
    const { provider, client } = await guard(inner, (await unleashWith(flag)).url);
    provider.flag('upload');

    const { flagMetadata } = await client.getStringDetails('upload', '', { targetingKey: 'u1' });

    expect(flagMetadata.unleashReason).toBe(isTrusted ? 'STATIC' : 'UNKNOWN');
  });

  it('follows changes in Unleash, and gives no chance of before', async () => {
    const unleash = await unleashWith(upload(50));
    const { provider, client } = await guard(new PlainProvider(unleash.url), unleash.url);
    provider.flag('upload');
    const changed = vi.fn();
    provider.onChange(changed);

    unleash.answer = stateOf(upload(100));

    await eventually(() => expect(provider.flag('upload')?.rolloutPercentage).toBe(100));
    expect(changed).toHaveBeenCalledWith('upload');
    await eventually(async () => {
      const details = await client.getBooleanDetails('upload', false, { targetingKey: 'u1' });
      expect(details.value).toBe(true);
      expect(details.flagMetadata.chance).toBeUndefined();
    });
  });

  it('gives no chance while the provider answers otherwise than Unleash, whatever that says of itself', async () => {
    const unleash = await unleashWith(upload(50));
    const { provider, client } = await guard(
      answering(() => ({ value: true, reason: 'SPLIT', flagMetadata: { chance: 0.9, contextId: 'x' } })),
      unleash.url,
    );
    provider.flag('upload');
    const chances = new Set<unknown>();

    for (let user = 0; user < 30; user++) {
      await client.getBooleanDetails('upload', false, { targetingKey: `u${user}` });
    }
    for (let user = 0; user < 30; user++) {
      const { flagMetadata } = await client.getBooleanDetails('upload', false, { targetingKey: `u${user}` });
      chances.add(flagMetadata.chance);
    }

    expect([...chances]).toEqual([undefined]);
  });

  it('answers for a flag that is stopped while a slow provider is asked', async () => {
    let answer: ((details: object) => void) | undefined;
    const slow = answering(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    const { provider, client } = await guard(slow, (await unleashWith(upload(50))).url);
    provider.flag('upload');
    const asked = client.getBooleanDetails('upload', true);
    await eventually(() => expect(answer).toBeDefined());

    provider.override('upload', 'made up');
    answer?.({ value: true, variant: 'on' });

    expect(await asked).toMatchObject({ value: false, reason: 'DISABLED' });
  });

  it('ends its polls when the wrapped provider cannot be closed', async () => {
    const unleash = await unleashWith(upload(50));
    const inner = inMemory();
    Object.defineProperty(inner, 'events', {
      value: {
        addHandler: () => {},
        removeHandler: () => {
          throw new Error('no handlers');
        },
      },
    });
    const provider = new GuardedProvider(inner, {
      unleash: { url: unleash.url, token: TOKEN },
      logger: false,
    });
    await provider.initialize();

    await expect(provider.onClose()).rejects.toThrow('no handlers');

    expect(provider.health()).toMatchObject({ status: 'error' });
  });

  it('answers for a stopped flag at once, without the wrapped provider', async () => {
    const inner = inMemory();
    const spy = vi.spyOn(inner, 'resolveBooleanEvaluation');
    const { provider, client } = await guard(inner, (await unleashWith(upload(50))).url);
    const changed = vi.fn();
    client.addHandler(ProviderEvents.ConfigurationChanged, changed);

    provider.override('upload', 'too many errors');

    expect(await client.getBooleanDetails('upload', true)).toMatchObject({
      value: false,
      variant: 'off',
      reason: 'DISABLED',
      flagMetadata: { stoppedByGuard: true, stopReason: 'too many errors', rolloutPercentage: 50 },
    });
    expect(await client.getStringValue('upload', 'mine')).toBe('mine');
    expect(provider.isOverridden('upload')).toBe(true);
    expect(spy).not.toHaveBeenCalled();
    expect(changed).toHaveBeenCalledWith(expect.objectContaining({ flagsChanged: ['upload'] }));
    provider.clearOverride('upload');
    expect(await client.getBooleanValue('upload', false)).toBe(true);
  });

  it.each<[string, () => unknown, Partial<ResolutionDetails<boolean>>]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
      { value: true, errorCode: 'GENERAL' as never, errorMessage: 'broken' },
    ],
    [
      'answers text',
      () => ({ value: 'yes' }),
      { value: true, errorCode: 'TYPE_MISMATCH' as never, errorMessage: expect.stringContaining('string') },
    ],
    ['answers nothing', () => undefined, { value: true, errorCode: 'TYPE_MISMATCH' as never }],
    [
      'answers an error',
      () => ({ value: true, reason: 'ERROR', errorCode: 'PARSE_ERROR', errorMessage: 'odd' }),
      { value: true, errorCode: 'PARSE_ERROR' as never, errorMessage: 'odd' },
    ],
    [
      'answers an error without a value',
      () => ({ errorCode: 'FLAG_NOT_FOUND', errorMessage: 'gone' }),
      { value: true, errorCode: 'FLAG_NOT_FOUND' as never, errorMessage: 'gone' },
    ],
  ])('gives the default value when the wrapped provider %s', async (_, answer, expected) => {
    const { provider, client } = await guard(answering(answer), (await unleashWith(upload(50))).url);
    provider.flag('upload');

    const details = await client.getBooleanDetails('upload', true, { targetingKey: 'u' });

    expect(details).toMatchObject({ reason: 'ERROR', ...expected });
    expect(details.flagMetadata.chance).toBeUndefined();
  });

  it.each<[string, (unleash: LoopbackUnleash) => void]>([
    [
      'does not answer',
      (unleash) => {
        unleash.answer = 'never';
      },
    ],
    [
      'refuses the token',
      (unleash) => {
        unleash.answer = 401;
      },
    ],
    [
      'fails',
      (unleash) => {
        unleash.answer = 503;
      },
    ],
    [
      'sends something else',
      (unleash) => {
        unleash.answer = ['no flags'];
      },
    ],
  ])('evaluates as the wrapped provider does when Unleash %s', async (_, change) => {
    const unleash = await unleashWith(upload(50));
    change(unleash);
    const { provider, client } = await guard(inMemory(), unleash.url, { initializationTimeoutMs: 100 });

    expect(provider.flag('upload')).toBeUndefined();
    expect(await client.getBooleanDetails('upload', false)).toMatchObject({ value: true, variant: 'on' });
    expect(provider.health().status).not.toBe('ok');
    unleash.answer = stateOf(upload(100));
    await eventually(() => expect(provider.flag('upload')?.rolloutPercentage).toBe(100));
  });

  it.each<[string, unknown, object, string]>([
    ['nothing', undefined, {}, 'provider: expected an OpenFeature provider for servers, got nothing'],
    ['half a provider', { metadata: { name: 'x' } }, {}, 'provider: expected an OpenFeature provider'],
    [
      'events that are none',
      Object.assign(inMemory(), { events: {} }),
      {},
      'provider: expected an OpenFeature provider whose events are an OpenFeatureEventEmitter',
    ],
    ['no token', inMemory(), { token: undefined }, 'unleash.token: expected a client token, or'],
    [
      'quotation marks',
      inMemory(),
      { token: '"default:development.secret"' },
      'the token is in quotation marks',
    ],
    ['a URL without scheme', inMemory(), { url: 'unleash/api' }, 'unleash.url: expected the URL of Unleash'],
    [
      'the frontend API',
      inMemory(),
      { url: 'https://u.example.com/api/frontend' },
      'the frontend API, for browsers, which sends no definitions of flags: use https://u.example.com/api',
    ],
    [
      'an admin token alone',
      inMemory(),
      { token: '*:*.secret' },
      'unleash.environment: expected the environment',
    ],
    [
      'the environment of another token',
      inMemory(),
      { environment: 'production' },
      'unleash.environment: expected "development", that of the client token',
    ],
    ['the project of another token', inMemory(), { project: 'shop' }, 'unleash.project: expected "default"'],
    ['an unknown option', inMemory(), { interval: 5 }, 'unleash.interval: expected one of'],
  ])('refuses %s', (_, inner, change, problem) => {
    const unleash = { url: 'https://u.example.com/api', token: TOKEN, ...change };

    const make = () => new GuardedProvider(inner as Provider, { unleash } as GuardedProviderOptions);

    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    expect(make).toThrow(problem);
    expect(make).not.toThrow(/secret/);
  });

  it('takes the `unleash` of a guard as it is', () => {
    const unleash = {
      url: 'https://u.example.com',
      token: '*:*.secret',
      environment: 'production',
      reportUrl: 'https://reports.example.com',
    };

    expect(new GuardedProvider(inMemory(), { unleash, logger: false }).scope).toEqual({
      project: 'default',
      environment: 'production',
    });
  });
});
