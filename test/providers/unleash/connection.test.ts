import { ProviderEvents } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { freePort } from '../../../examples/fleet/redis-server.js';
import { UnleashProvider, type UnleashProviderOptions } from '../../../providers/unleash/provider.js';
import { flagOf, percent } from './bootstrapped.js';
import { type Answer, startLoopbackUnleash } from './loopback-unleash.js';

const realSetTimeout = setTimeout;
const state = (percentage: number) => ({
  version: 2,
  features: [flagOf({ strategies: [percent(percentage)] })],
});

/** The whole unleash-client against a server on loopback: its own texts, its own retries, its own polling. */
async function connected(answer: Answer, more: Partial<UnleashProviderOptions> = {}) {
  const unleash = await startLoopbackUnleash(answer);
  const provider = new UnleashProvider({
    url: unleash.url,
    appName: 'shop',
    refreshInterval: 1_000,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    logger: false,
    ...more,
  });
  const events: string[] = [];
  for (const event of [
    ProviderEvents.Ready,
    ProviderEvents.Stale,
    ProviderEvents.ConfigurationChanged,
  ] as const) {
    provider.events.addHandler(event, () => events.push(event));
  }
  onTestFinished(async () => {
    await provider.onClose();
    await unleash[Symbol.asyncDispose]();
  });
  return { unleash, provider, events };
}

/** Lets time pass for timers, and sockets do their work, until `condition` is true. */
async function passTime(condition: () => boolean): Promise<void> {
  for (let step = 0; step < 600 && !condition(); step++) {
    await vi.advanceTimersByTimeAsync(100);
    await new Promise((resolve) => realSetTimeout(resolve, 2));
  }
  expect(condition()).toBe(true);
}

describe('polling a server', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([404, 418, 429, 500, 503])(
    'notices that %i means a lost connection, and that 304 ends it',
    async (status) => {
      const { unleash, provider, events } = await connected(state(50));
      await provider.initialize();

      unleash.answer = status;
      await passTime(() => events.length === 1);
      unleash.answer = state(50);
      await passTime(() => events.length === 2);

      expect(events).toEqual([ProviderEvents.Stale, ProviderEvents.Ready]);
    },
  );

  it.each<[string, object]>([
    ['no flags', { version: 2 }],
    ['a flag that is null', { version: 2, features: [null] }],
  ])('stays lost while Unleash confirms an answer that had %s', async (_, answer) => {
    const { unleash, provider, events } = await connected(state(50));
    await provider.initialize();

    unleash.answer = answer;
    await passTime(() => events.length === 1);
    const polls = unleash.polls.length;
    await passTime(() => unleash.polls.length > polls + 2);

    expect(events).toEqual([ProviderEvents.Stale]);
    expect(provider.health()).toMatchObject({
      status: 'stale',
      message: expect.stringContaining('answered with something unexpected, which has no flags'),
    });
    unleash.answer = state(50);
    await passTime(() => events.length === 2);
  });

  it('reports what changed when the connection is back', async () => {
    const { unleash, provider, events } = await connected(state(50));
    await provider.initialize();

    unleash.answer = 404;
    await passTime(() => events.length === 1);
    unleash.answer = state(0);
    await passTime(() => events.length === 3);

    expect(events).toEqual([ProviderEvents.Stale, ProviderEvents.Ready, ProviderEvents.ConfigurationChanged]);
  });

  it('continues to serve its flags, as stale, when the token is revoked', async () => {
    const { unleash, provider, events } = await connected(state(100));
    await provider.initialize();

    unleash.answer = 401;
    await passTime(() => events.length === 1);

    expect(events).toEqual([ProviderEvents.Stale]);
    expect(await provider.resolveBooleanEvaluation('upload', false, {})).toMatchObject({
      value: true,
      reason: 'STALE',
    });
  });

  it.each([401, 403])('refuses to initialize with a token that is answered %i', async (status) => {
    const { unleash, provider } = await connected(status, {
      customHeaders: { Authorization: 'default:test.made-up' },
    });

    await expect(provider.initialize()).rejects.toMatchObject({ code: 'PROVIDER_FATAL' });
    expect(unleash.polls.map(({ authorization }) => authorization)).toEqual(['default:test.made-up']);
  });

  it('fails to initialize while the server is unreachable, and recovers when it answers', async () => {
    const port = await freePort();
    const { provider, events } = await connected(404, { url: `http://127.0.0.1:${port}/api` });
    let failure: { readonly code?: string; readonly message: string } | undefined;

    provider.initialize().catch((error) => {
      failure = error;
    });
    await passTime(() => failure !== undefined);
    expect(failure).toMatchObject({
      code: 'PROVIDER_NOT_READY',
      message: expect.stringContaining('ECONNREFUSED'),
    });

    const late = await startLoopbackUnleash(state(100), port);
    onTestFinished(() => late[Symbol.asyncDispose]());
    await passTime(() => events.length === 1);
    expect(events).toEqual([ProviderEvents.Ready]);
  });

  it('does not treat an unwritable backup as a lost connection', async () => {
    const { unleash, provider, events } = await connected(state(50), {
      storageProvider: undefined,
      backupPath: '/nowhere/to/be/found',
    } as never);
    await provider.initialize();

    unleash.answer = state(60);
    await passTime(() => events.length > 0 && unleash.polls.length > 2);

    expect(events).toEqual([ProviderEvents.ConfigurationChanged]);
  });
});

describe('closing', () => {
  beforeEach(() => {
    // The clock as well: time limits do not count what a machine that is busy takes from this process.
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  const metered = { disableMetrics: false, closeTimeoutMs: 2_000 };

  it('sends the usage that has not been sent yet, once', async () => {
    const { unleash, provider } = await connected(state(100), metered);
    await provider.initialize();
    await provider.resolveBooleanEvaluation('upload', false, {});

    await Promise.all([provider.onClose(), provider.onClose()]);

    expect(unleash.sentMetrics.map(({ bucket }) => bucket.toggles.upload)).toMatchObject([{ yes: 1, no: 0 }]);
  });

  it('waits no longer than it may for a server that does not answer', async () => {
    const { unleash, provider } = await connected(state(100), metered);
    await provider.initialize();
    await provider.resolveBooleanEvaluation('upload', false, {});
    unleash.metrics = 'never';
    let closed = false;

    const closing = provider.onClose().then(() => {
      closed = true;
    });
    await vi.advanceTimersByTimeAsync(1_999);
    expect(closed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await closing;
  });

  it('ignores a failure of a poll that is under way', async () => {
    const { unleash, provider } = await connected(state(100));
    await provider.initialize();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => {
      process.off('unhandledRejection', unhandled);
    });
    unleash.answer = 'never';
    await passTime(() => unleash.polls.length === 2);

    await provider.onClose();
    await unleash[Symbol.asyncDispose]();
    for (let step = 0; step < 60; step++) {
      await vi.advanceTimersByTimeAsync(100); // unleash-client's two retries
      await new Promise((resolve) => realSetTimeout(resolve, 2));
    }

    expect(unhandled).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1); // unleash-client's own, which does not keep the process
  });
});
