import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import {
  type Client,
  InMemoryProvider,
  OpenFeature,
  ProviderEvents,
  ProviderStatus,
} from '@openfeature/server-sdk';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnleashProvider, type UnleashProviderOptions } from '../../../providers/unleash/provider.js';
import { eventually } from '../../helpers/eventually.js';
import { timeLimit } from '../../helpers/machine-time.js';
import { flagOf } from './bootstrapped.js';
import { type Answer, type LoopbackUnleash, startLoopbackUnleash } from './loopback-unleash.js';

const state = (enabled: boolean) => ({ version: 2, features: [flagOf({ enabled })] });
const isPoll = ({ url = '' }: { readonly url?: string | undefined }) => url.includes('/client/features');

type Options = Partial<UnleashProviderOptions>;

/** The whole unleash-client against a server on loopback, in real time. */
async function registered(
  options: Options | ((unleash: LoopbackUnleash) => Options) = {},
  answer: Answer = state(true),
) {
  const unleash = await startLoopbackUnleash(answer);
  const provider = new UnleashProvider({
    url: unleash.url,
    appName: 'shop',
    refreshInterval: 50,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    // The age of the data has tests of its own, and a machine may be slow.
    maxDataAgeMs: 60_000,
    logger: false,
    ...(typeof options === 'function' ? options(unleash) : options),
  });
  const domain = randomUUID();
  const client = OpenFeature.getClient(domain);
  const ready = OpenFeature.setProviderAndWait(domain, provider);
  onTestFinished(async () => {
    await provider.onClose();
    await unleash[Symbol.asyncDispose]();
  });
  return { unleash, provider, client, domain, ready };
}

const evaluation = async (client: Client) => {
  const { value, reason } = await client.getBooleanDetails('upload', false);
  return `${value} ${reason}`;
};

/** Waits until a flag that an operator turned off is off here. */
async function offArrives({ unleash, client }: { unleash: LoopbackUnleash; client: Client }): Promise<void> {
  unleash.answer = state(false);
  await eventually(async () => expect(await evaluation(client)).toBe('false DISABLED'));
  await eventually(() => expect(client.providerStatus).toBe(ProviderStatus.READY));
}

/** Fails the test when something that nobody handles is rejected meanwhile. */
function expectNoUnhandledRejection(): void {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  onTestFinished(() => {
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
}

describe('a refused token', () => {
  it.each([401, 403])('of one poll only, answered %i, ends nothing for good', async (status) => {
    const parts = await registered();
    await parts.ready;

    parts.unleash.answer = status;
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));
    expect(parts.provider.health()).toMatchObject({
      status: 'error',
      message: expect.stringContaining('backend token'),
      since: expect.any(Number),
      dataAgeMs: expect.any(Number),
    });

    await offArrives(parts);
    expect(parts.provider.health()).toEqual({ status: 'ok', dataAgeMs: expect.any(Number) });
  });

  it('is tried again ever more seldom', async () => {
    const { unleash, client, ready } = await registered({ refreshInterval: 20 });
    await ready;
    const at: number[] = [];
    unleash.handler = (request, response) => {
      if (!isPoll(request)) return false;
      at.push(performance.now());
      response.writeHead(401).end();
      return true;
    };

    await eventually(() => expect(at.length).toBeGreaterThanOrEqual(6));

    const gaps = at.slice(1).map((time, index) => time - at[index]!);
    // A busy machine makes gaps longer, never shorter.
    expect(gaps[4]).toBeGreaterThan(60);
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
  });

  it('that is refused from the start leads to READY once it is accepted', async () => {
    const { unleash, client, ready, provider } = await registered({}, 401);
    await expect(ready).rejects.toMatchObject({ code: 'PROVIDER_FATAL' });
    expect(provider.health()).toMatchObject({
      status: 'error',
      message: expect.stringContaining('backend token'),
    });

    unleash.answer = state(true);

    await eventually(async () => expect(await evaluation(client)).toBe('true STATIC'));
  });

  it('of usage metrics ends them for a while only', async () => {
    const { unleash, client, ready } = await registered({ disableMetrics: false, metricsInterval: 50 });
    let refusals = 0;
    unleash.handler = ({ url = '' }, response) => {
      if (!url.endsWith('/client/metrics') || refusals > 0) return false;
      refusals++;
      response.writeHead(401).end();
      return true;
    };
    await ready;
    await evaluation(client);
    await eventually(() => expect(refusals).toBe(1));

    await eventually(async () => {
      await evaluation(client);
      expect(unleash.sentMetrics.length).toBeGreaterThan(0);
    });
  });

  it('of a client of your own does not end its polls either', async () => {
    const server = await startLoopbackUnleash(state(true));
    const unleash = new Unleash({
      url: server.url,
      appName: 'shop',
      refreshInterval: 50,
      disableMetrics: true,
      skipInstanceCountWarning: true,
      storageProvider: new InMemStorageProvider(),
    });
    const domain = randomUUID();
    const client = OpenFeature.getClient(domain);
    const provider = new UnleashProvider(unleash, { logger: false });
    onTestFinished(async () => {
      await provider.onClose();
      unleash.destroy();
      await server[Symbol.asyncDispose]();
    });
    await OpenFeature.setProviderAndWait(domain, provider);

    server.answer = 403;
    await eventually(() => expect(client.providerStatus).toBe(ProviderStatus.STALE));

    await offArrives({ unleash: server, client });
  });

  it('that is replaced while the application runs is the one of the next poll', async () => {
    let [valid, token] = ['first', 'first'];
    const parts = await registered({ customHeadersFunction: async () => ({ Authorization: token }) });
    parts.unleash.handler = ({ headers }, response) => {
      if (headers.authorization === valid) return false;
      response.writeHead(401).end();
      return true;
    };
    await parts.ready;

    valid = 'second';
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));
    token = 'second';

    await offArrives(parts);
  });
});

describe('a function that gives headers', () => {
  it.each<[string, () => unknown]>([
    ['rejects with nothing', () => Promise.reject()],
    ['rejects with text', () => Promise.reject('no token')],
    [
      'throws at once',
      () => {
        throw new Error('no token');
      },
    ],
    ['hangs', () => new Promise(() => {})],
  ])('and %s, makes the flags stale until it works again', async (_, fault) => {
    expectNoUnhandledRejection();
    let isFaulty = false;
    const parts = await registered({
      timeout: 300,
      disableMetrics: false,
      metricsInterval: 30,
      customHeadersFunction: () => (isFaulty ? fault() : Promise.resolve({})) as Promise<never>,
    });
    await parts.ready;

    isFaulty = true;
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));
    expect(parts.provider.health()).toMatchObject({
      status: 'stale',
      message: expect.stringContaining('customHeadersFunction'),
    });
    isFaulty = false;

    await offArrives(parts);
  });
});

describe('a time limit below a second', () => {
  it('lets polls through, and holds', async () => {
    const parts = await registered({ timeout: 200, refreshInterval: 100 });
    await parts.ready;
    // On a machine that is busy, a poll may take longer.
    await eventually(async () => expect(await evaluation(parts.client)).toBe('true STATIC'));

    parts.unleash.answer = 'never';
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));
    expect(parts.provider.health().message).toContain('timed out after 200 ms');

    await offArrives(parts);
  });
});

describe('a storage', () => {
  it.each<[string, (data?: unknown) => unknown]>([
    ['rejects', () => Promise.reject(new Error('disk full'))],
    ['rejects with nothing', () => Promise.reject()],
    [
      'throws at once',
      () => {
        throw new Error('disk full');
      },
    ],
    ['hangs', () => new Promise(() => {})],
  ])('that %s when it stores, is no reason to be stale, and is logged once', async (_, set) => {
    expectNoUnhandledRejection();
    const warn = vi.fn();
    const logger = { debug: vi.fn(), info: vi.fn(), warn, error: vi.fn() };
    const parts = await registered({
      logger,
      storageProvider: { get: async () => undefined, set: set as () => Promise<void> },
    });
    await parts.ready;

    parts.unleash.answer = { ...state(true), features: [flagOf({}), flagOf({ name: 'new' })] };
    await eventually(() => expect(parts.provider.flag('new')).toBeDefined());
    await offArrives(parts);

    expect(warn.mock.calls.length).toBeLessThanOrEqual(1);
    expect(JSON.stringify(warn.mock.calls)).not.toContain('connection');
  });

  it('that hangs when it is read, does not keep the provider from being ready', async () => {
    const parts = await registered({
      timeout: 300,
      storageProvider: { get: () => new Promise(() => {}), set: async () => {} },
    });
    await parts.ready;
    parts.unleash.answer = 503;
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));

    await offArrives(parts);
  });

  it('gets the states one after another, and the latest one last', async () => {
    const stored: string[] = [];
    let isWriting = false;
    const parts = await registered({
      storageProvider: {
        get: async () => undefined,
        set: async (_, { features }) => {
          expect(isWriting).toBe(false);
          isWriting = true;
          await new Promise((resolve) => setTimeout(resolve, 120));
          isWriting = false;
          stored.push(features.map(({ name }) => name).join());
        },
      },
    });
    await parts.ready;
    for (const name of ['a', 'b', 'c']) {
      parts.unleash.answer = { ...state(true), features: [flagOf({ name })] };
      await eventually(() => expect(parts.provider.flag(name)).toBeDefined());
    }

    await eventually(() => expect(stored.at(-1)).toBe('c'));
  });
});

describe('the age of the data', () => {
  it('makes flags stale when the server hangs, long before a poll fails', async () => {
    const parts = await registered({ maxDataAgeMs: 400 });
    await parts.ready;

    parts.unleash.answer = 'never';
    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));

    expect(await evaluation(parts.client)).toBe('true STALE');
    expect(parts.provider.health()).toMatchObject({
      status: 'stale',
      message: expect.stringMatching(/not confirmed the flags for \d+ s/),
    });
  });

  it('makes flags stale at once after the process was frozen', async () => {
    const { client, ready, provider } = await registered({ maxDataAgeMs: 400 });
    await ready;
    await eventually(async () => expect(await evaluation(client)).toBe('true STATIC'));

    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
    expect(await provider.resolveBooleanEvaluation('upload', false, {})).toMatchObject({ reason: 'STALE' });
    expect(provider.health()).toMatchObject({ status: 'stale' });

    await eventually(async () => expect(await evaluation(client)).toBe('true STATIC'));
  });

  it('is no matter for flags that are never fetched', async () => {
    const { client, ready, provider } = await registered({
      refreshInterval: 0,
      bootstrap: { data: [flagOf({})] },
    });
    await ready;

    expect(await evaluation(client)).toBe('true STATIC');
    expect(provider.health()).toEqual({ status: 'ok' });
  });

  it('is an error before any data, and before the provider is registered', async () => {
    const { provider, ready } = await registered({ initializationTimeoutMs: 100 }, 'never');
    await expect(ready).rejects.toMatchObject({ code: 'PROVIDER_NOT_READY' });

    expect(provider.health()).toMatchObject({ status: 'error', message: expect.stringContaining('No flag') });
    const fresh = new UnleashProvider({ url: 'http://localhost/api', appName: 'shop', logger: false });
    expect(fresh.health()).toMatchObject({ status: 'error' });
  });
});

describe('an answer that is too large', () => {
  const huge = JSON.stringify({ version: 2, features: [flagOf({ description: 'x'.repeat(40_000_000) })] });

  it.each<[string, Record<string, string>, string | Buffer]>([
    ['with its length', { 'content-length': String(huge.length) }, huge],
    ['in chunks', {}, huge],
    ['compressed', { 'content-encoding': 'gzip' }, gzipSync(huge)],
  ])('is not read: %s', async (_, headers, body) => {
    const parts = await registered();
    await parts.ready;
    parts.unleash.handler = (request, response) => {
      if (!isPoll(request)) return false;
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end(body);
      return true;
    };

    await eventually(() => expect(parts.client.providerStatus).toBe(ProviderStatus.STALE));
    expect(parts.provider.health().message).toContain('larger than 32 MiB');
    expect(await evaluation(parts.client)).toBe('true STALE');

    parts.unleash.handler = undefined;
    await offArrives(parts);
  });

  it('is no matter for compressed answers of a usual size', async () => {
    const parts = await registered();
    await parts.ready;
    const body = gzipSync(JSON.stringify({ version: 2, features: [flagOf({ name: 'compressed' })] }));
    parts.unleash.handler = (request, response) => {
      if (!isPoll(request)) return false;
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(body);
      return true;
    };

    await eventually(() => expect(parts.provider.flag('compressed')).toBeDefined());
  });
});

describe('registering the same provider again while its onClose still runs', () => {
  it.each<[string, 'accept' | 'never']>([
    ['the last metrics are accepted', 'accept'],
    ['the last metrics are never answered', 'never'],
  ])('starts it anew: %s', async (_, metrics) => {
    const { unleash, provider, client, domain, ready } = await registered({
      disableMetrics: false,
      metricsInterval: 60_000,
      closeTimeoutMs: 300,
    });
    await ready;
    await evaluation(client);
    unleash.metrics = metrics;

    await OpenFeature.setProviderAndWait(domain, new InMemoryProvider({}));
    await OpenFeature.setProviderAndWait(domain, provider);

    expect(await evaluation(client)).toBe('true STATIC');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await evaluation(client)).toBe('true STATIC');
    await offArrives({ unleash, client });
  });
});

describe('closing', () => {
  it('ends within its time whatever hangs, and ends every request', async () => {
    const { unleash, provider, client, ready } = await registered({
      disableMetrics: false,
      metricsInterval: 60_000,
      closeTimeoutMs: 200,
    });
    await ready;
    await evaluation(client);
    let open = 0;
    unleash.handler = (request) => {
      open++;
      request.socket.once('close', () => open--);
      return true;
    };
    await eventually(() => expect(open).toBeGreaterThan(0));

    const limit = timeLimit(2_000);
    const start = performance.now();
    await provider.onClose();

    expect(performance.now() - start).toBeLessThan(limit());
    await eventually(() => expect(open).toBe(0));
  });
});

describe('a stream', () => {
  const hydration = (enabled: boolean) =>
    JSON.stringify({
      events: [{ type: 'hydration', eventId: 1, features: [flagOf({ enabled })], segments: [] }],
    });

  // Its state is checked every two seconds here.
  it('that breaks off makes the flags stale, and polls bring the next change', async () => {
    const { unleash, provider, client, ready } = await registered((server) => {
      server.handler = ({ url = '' }, response) => {
        if (!url.endsWith('/client/streaming')) return false;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`event: unleash-connected\ndata: ${hydration(true)}\n\n`);
        setTimeout(() => response.destroy(), 300);
        return true;
      };
      return { experimentalMode: { type: 'streaming' }, maxDataAgeMs: 6_000 };
    });
    const stale = vi.fn();
    provider.events.addHandler(ProviderEvents.Stale, stale);
    await ready;
    expect(await evaluation(client)).toBe('true STATIC');
    unleash.handler = ({ url = '' }) => url.endsWith('/client/streaming');

    await eventually(() => expect(stale).toHaveBeenCalled());
    expect(stale.mock.calls[0]).toMatchObject([{ message: expect.stringContaining('stream') }]);

    await offArrives({ unleash, client });
  });
});

describe('a start that waits for less time than unleash-client retries', () => {
  it('says what Unleash answered', async () => {
    const { provider, ready } = await registered({ initializationTimeoutMs: 1_000 }, 503);

    await expect(ready).rejects.toThrow(
      'within 1000 ms; the provider keeps trying. Last problem: Unleash answered 503 to GET /api/client/features.',
    );
    expect(provider.health().message).toContain('Unleash answered 503');
  });

  it.each(['127.0.0.1', '[::1]'])('says why it did not answer at %s', async (host) => {
    const { ready } = await registered({ initializationTimeoutMs: 1_000, url: `http://${host}:9/api` });

    // A machine may have no IPv6.
    await expect(ready).rejects.toThrow(
      /Last problem: Unleash did not answer: (ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH|EAFNOSUPPORT)\./,
    );
  });

  it.each<[string, (proxy: string) => Options, string]>([
    ['the proxy that asks for a password', (proxy) => ({ http: { proxy } }), 'the proxy PROXY answered 407'],
    [
      'an agent that is none',
      () => ({ http: { agent: () => undefined as never } }),
      'Unleash cannot be asked: NO_AGENT. The function `http.agent`',
    ],
    [
      'data that got old meanwhile',
      () => ({ maxDataAgeMs: 400, url: 'http://127.0.0.1:9/api' }),
      's. Unleash did not answer: ECONNREFUSED',
    ],
  ])('names %s', async (_, options, problem) => {
    const asking = await startLoopbackUnleash(407);
    onTestFinished(() => asking[Symbol.asyncDispose]());
    const proxy = new URL(asking.url).origin;
    const { ready } = await registered({ initializationTimeoutMs: 900, ...options(proxy) }, 407);

    await expect(ready).rejects.toThrow(problem.replace('PROXY', proxy));
  });
});

describe('a stream that sends nothing', () => {
  it('is the reason that the start gives', async () => {
    const streaming: Options = { experimentalMode: { type: 'streaming' }, initializationTimeoutMs: 300 };
    const { ready } = await registered(streaming, 'never');

    await expect(ready).rejects.toThrow('Last problem: Its stream has sent no flags.');
  });
});

describe('a proxy that does not answer', () => {
  it('is named, within the time limit, and is let go when the provider is closed', async () => {
    const sockets = new Set<Socket>();
    const proxy = createServer((socket) => sockets.add(socket.on('error', () => {}).resume()));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void proxy.close());
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { provider, ready } = await registered({
      url: 'https://unleash.corp/api',
      http: { proxy: address },
      timeout: 1_000,
      initializationTimeoutMs: 1,
    });
    await ready.catch(() => {});

    const fault = `the proxy ${address} cannot be used: timed out after 1000 ms`;
    await eventually(() => expect(provider.health().message).toContain(fault));
    await provider.onClose();
    await eventually(() => expect([...sockets].filter(({ closed }) => !closed)).toEqual([]));
  });
});
