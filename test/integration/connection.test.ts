import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { OutcomeHook } from '../../hooks/outcome-hook.js';
import { GuardedProvider } from '../../providers/guarded/guarded-provider.js';
import { UnleashProvider } from '../../providers/unleash/provider.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEvent } from '../../src/model/event.js';
import { webhook } from '../../src/notify/webhook.js';
import { isConfigError } from '../../src/support/config-error.js';
import type { HttpOptions } from '../../src/support/connection/http-options.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { prometheusAbove } from '../../src/triggers/signals/prometheus.js';
import { UnleashAdminClient } from '../../src/unleash/admin-client.js';
import { type AdminError, isAdminError } from '../../src/unleash/admin-error.js';
import { eventually } from '../helpers/eventually.js';
import { ForwardProxy, type ForwardProxyOptions } from '../helpers/forward-proxy.js';
import { type Pem, PrivateCa, tlsFront } from '../helpers/private-ca.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const IN_MEMORY_ON = { variants: { on: true }, defaultVariant: 'on', disabled: false };

/** A name that resolves nowhere: it is reached through a proxy only. */
const HOST = 'unleash.corp.invalid';

let unleash: SharedUnleash;
let ca: PrivateCa;
let certificate: Pem;
let front: Awaited<ReturnType<typeof tlsFront>>;
let folder: string;
const open: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  [unleash, ca, folder] = await Promise.all([
    sharedUnleash(),
    PrivateCa.create(),
    mkdtemp(join(tmpdir(), 'connection-')),
  ]);
  certificate = await ca.issue(HOST);
  front = await tlsFront(unleash.url, certificate);
});

afterAll(async () => {
  await Promise.all([front.close(), rm(folder, { recursive: true, force: true })]);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of open.splice(0).reverse()) await each.close();
});

const plainUrl = () => `http://${HOST}:${new URL(unleash.url).port}/api`;
const secureUrl = () => `https://${HOST}:${front.port}/api`;

async function proxy(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const started = await ForwardProxy.start(options);
  open.push(started);
  return started;
}

function admin(url: string, http?: HttpOptions): UnleashAdminClient {
  const { adminToken: token, environment } = unleash;
  return new UnleashAdminClient({ url, token, environment, http, timeoutMs: 20_000 });
}

async function failure(client: UnleashAdminClient): Promise<AdminError> {
  const error: unknown = await client.readFlag('connection-flag').catch((error: unknown) => error);
  if (!isAdminError(error)) throw new Error(`no AdminError: ${String(error)}`);
  return error;
}

/** A rollout that fails until Unleash has the flag off. @returns what the guard reported. */
async function stopsFlag(
  flagKey: string,
  url: string,
  options: {
    readonly http?: HttpOptions;
    readonly ofProvider?: object;
    readonly receiver?: string;
    readonly flags?: GuardedProvider;
  },
): Promise<readonly GuardEvent[]> {
  await unleash.createFlag(flagKey, { percentage: 100 });
  const { http, ofProvider = { http }, receiver } = options;
  const provider =
    options.flags ??
    new UnleashProvider({
      url,
      appName: 'connection-test',
      customHeaders: { Authorization: unleash.clientToken },
      refreshInterval: 500,
      disableMetrics: true,
      storageProvider: { get: async () => undefined, set: async () => {} },
      logger: false,
      ...ofProvider,
    });
  open.push({ close: () => provider.onClose() });
  await OpenFeature.setProviderAndWait(flagKey, provider);
  const events: GuardEvent[] = [];
  const { adminToken: token, environment } = unleash;
  const guard = new RolloutGuard({
    flagKey,
    flags: provider,
    client: OpenFeature.getClient(flagKey),
    unleash: { url, token, environment },
    rollback: [errorRateAbove(0.5, { minOutcomes: 5 })],
    notify: receiver === undefined ? [] : [webhook({ url: receiver })],
    folder: false,
    logger: false,
    tickMs: 50,
    onEvent: (event) => events.push(event),
  });
  open.push({ close: () => guard.close() });
  OpenFeature.getClient(flagKey).addHooks(new OutcomeHook(guard));
  await guard.start();
  const operation = guard.operation<undefined, string>({
    treatment: () => {
      throw new Error('made up');
    },
    control: () => 'control',
    retries: 0,
  });
  await eventually(() => expect(provider.flag(flagKey)?.enabled).toBe(true));
  for (let user = 0; user < 10; user++) await operation({ targetingKey: `user-${user}` }, undefined);
  await eventually(() => expect(events.map(({ type }) => type)).toContain('stopped'));
  expect((await unleash.flag(flagKey)).enabled).toBe(false);
  return events;
}

/** Receives webhooks. */
async function receiver(): Promise<{ readonly port: number; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(body);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  });
  return { port: (server.address() as AddressInfo).port, bodies };
}

describe('a guard behind a forward proxy', () => {
  it.each(['HTTP_PROXY', 'http_proxy'])('reads, turns off and notifies through %s', async (name) => {
    const through = await proxy({ password: 'user:p%40ss' });
    const { port, bodies } = await receiver();
    vi.stubEnv(name, through.url);
    vi.stubEnv('NO_PROXY', 'localhost');
    await stopsFlag(`proxied-${name === 'HTTP_PROXY' ? 'upper' : 'lower'}`, plainUrl(), {
      receiver: `http://hooks.corp.invalid:${port}/`,
    });
    await eventually(() => expect(bodies.join()).toContain('"decided"'));
    expect(through.seen).toContain(`POST ${HOST}`);
    expect(through.seen).toContain('POST hooks.corp.invalid');
  });

  it('reaches Unleash over TLS of a private CA with the same options for provider and guard', async () => {
    const through = await proxy();
    const http = { proxy: through.url, ca: ca.own.cert };
    const { port, bodies } = await receiver();
    await stopsFlag('proxied-tls', secureUrl(), { http, receiver: `http://hooks.corp.invalid:${port}/` });
    expect(new Set(through.seen)).toContain(`CONNECT ${HOST}`);
    await eventually(() => expect(bodies.join()).toContain('"decided"'));
  });

  it('connects over a proxy that speaks TLS itself', async () => {
    const through = await proxy({ tls: await ca.issue('127.0.0.1') });
    const http = { proxy: through.url, ca: [ca.own.cert] };
    await unleash.createFlag('proxied-twice', { percentage: 10 });
    expect(await admin(secureUrl(), http).readFlag('proxied-twice')).toMatchObject({ enabled: true });
    expect(await admin(plainUrl(), http).readFlag('proxied-twice')).toMatchObject({ enabled: true });
    expect(through.seen).toEqual([`CONNECT ${HOST}`, `GET ${HOST}`]);
    const unknown = await failure(admin(secureUrl(), { proxy: through.url }));
    expect(unknown.message).toContain("does not know the CA of the proxy's certificate");
    expect(unknown.code).toBe('ADMIN_CONNECTION');
  });

  it("has the agent of unleash-client's own options for Unleash, and nobody else", async () => {
    const { port } = new URL(unleash.url);
    const { port: hook, bodies } = await receiver();
    const agents: string[] = [];
    const agent = (url: URL) => {
      agents.push(url.hostname);
      return new Agent({ ca: ca.own.cert });
    };
    expect(port).not.toBe('');
    await stopsFlag('own-agent', `https://127.0.0.1:${front.port}/api`, {
      ofProvider: { httpOptions: { agent } },
      receiver: `http://localhost:${hook}/`,
    });
    await eventually(() => expect(bodies.join()).toContain('"decided"'));
    expect(new Set(agents)).toEqual(new Set(['127.0.0.1']));
  });

  it('leaves out the hosts of NO_PROXY, and everything with proxy: false', async () => {
    const through = await proxy({ refuses: 403 });
    vi.stubEnv('HTTP_PROXY', through.url);
    const direct = unleash.apiUrl.replace('localhost', '127.0.0.1');
    await unleash.createFlag('not-proxied', { percentage: 10 });
    expect((await failure(admin(direct))).code).toBe('ADMIN_CONNECTION');
    expect(await admin(direct, { proxy: false }).readFlag('not-proxied')).toMatchObject({ enabled: true });
    vi.stubEnv('no_proxy', '127.0.0.1');
    expect(await admin(direct).readFlag('not-proxied')).toMatchObject({ enabled: true });
  });

  it.each(['http', 'https'])('names what a proxy does with %s, and what to do', async (scheme) => {
    const url = scheme === 'http' ? plainUrl() : secureUrl();
    const http = { ca: ca.own.cert };
    const asking = await proxy({ password: 'user:secret-word' });
    const bare = await failure(admin(url, { ...http, proxy: asking.address }));
    expect(bare).toMatchObject({ code: 'ADMIN_CONNECTION', retryable: false });
    expect(bare.message).toContain(`the proxy ${asking.address} answered 407`);
    expect(bare.message).toContain('asks for a user and password');

    const wrong = await failure(admin(url, { ...http, proxy: asking.url.replace('secret', 'other') }));
    expect(wrong.message).toContain('does not accept the user and password');
    expect(wrong.message).not.toContain('other-word');

    const refusing = await proxy({ refuses: 403 });
    const refused = await failure(admin(url, { ...http, proxy: refusing.url }));
    expect(refused).toMatchObject({ code: 'ADMIN_CONNECTION', retryable: false });
    expect(refused.message).toContain('does not allow the connection');

    const broken = await proxy({ refuses: 502 });
    const unreached = await failure(admin(url, { ...http, proxy: broken.url }));
    expect(unreached).toMatchObject({ code: 'ADMIN_UNAVAILABLE', retryable: true });
    expect(unreached.message).toContain('cannot reach the server');

    const gone = await ForwardProxy.start();
    const { url: goneUrl } = gone;
    await gone.close();
    const absent = await failure(admin(url, { ...http, proxy: goneUrl }));
    expect(absent).toMatchObject({ code: 'ADMIN_UNAVAILABLE', retryable: true });
    expect(absent.message).toContain(`the proxy ${goneUrl} cannot be used: ECONNREFUSED`);
  });

  it('does not use a proxy of the environment that is no URL, and does not show it', async () => {
    vi.stubEnv('HTTP_PROXY', 'socks5://user:hidden-word@proxy:1080');
    const error = await failure(admin(plainUrl()));
    expect(error.message).toContain('its address is not a URL with http:// or https://');
    expect(error.message).not.toContain('hidden-word');
  });

  it('reads signals through the proxy of the guard, unless a signal has a connection of its own', async () => {
    const through = await proxy();
    const { port } = await receiver();
    const url = `http://prometheus.corp.invalid:${port}`;
    const options = { url, query: 'up', threshold: 1 };
    const { signal } = new AbortController();
    const reading = prometheusAbove({ ...options, http: { proxy: through.url } }).signal.read({ signal });
    await expect(reading).rejects.toThrow('is not Prometheus');
    expect(through.seen).toEqual(['POST prometheus.corp.invalid']);
    const refusing = await proxy({ refuses: 407 });
    const refused = prometheusAbove({ ...options, http: { proxy: refusing.url } }).signal.read({ signal });
    await expect(refused).rejects.toThrow('asks for a user and password');
  });

  it.each([
    ['https', { password: 'user:secret-word' }, 'asks for a user and password'],
    ['http', { password: 'user:secret-word' }, 'asks for a user and password'],
    ['http', { refuses: 403 }, 'does not allow the connection'],
    ['https', { refuses: 403 }, 'does not allow the connection'],
  ])('says in the health of the provider what the proxy does with %s (%#)', async (scheme, options, help) => {
    const asking = await proxy(options);
    const provider = new UnleashProvider({
      url: scheme === 'http' ? plainUrl() : secureUrl(),
      appName: 'connection-test',
      http: { proxy: asking.address, ca: ca.own.cert },
      customHeaders: { Authorization: unleash.clientToken },
      storageProvider: { get: async () => undefined, set: async () => {} },
      initializationTimeoutMs: 6_000,
      disableMetrics: true,
      logger: false,
    });
    open.push({ close: () => provider.onClose() });
    void provider.initialize().catch(() => {});
    await eventually(() => expect(provider.health().message).toContain(help));
  });
});

describe('certificates', () => {
  const localUrl = () => `https://127.0.0.1:${front.port}/api`;

  it('accepts a private CA as text, as a file, and beside the known ones', async () => {
    const file = join(folder, 'ca.pem');
    await writeFile(file, ca.own.cert);
    await unleash.createFlag('private-ca', { percentage: 10 });
    for (const given of [ca.own.cert, Buffer.from(ca.own.cert), file, [file]])
      expect(await admin(localUrl(), { ca: given }).readFlag('private-ca')).toMatchObject({ enabled: true });
    const all = await admin(localUrl(), { rejectUnauthorized: false }).readFlag('private-ca');
    expect(all).toMatchObject({ enabled: true });
  });

  it.each([
    ['an unknown CA', async () => localUrl(), 'does not know the CA'],
    ['another name', async () => `https://localhost:${front.port}/api`, 'is for another name'],
    [
      'an expired one',
      async () => {
        const expired = await tlsFront(unleash.url, await ca.issue('127.0.0.1', true));
        open.push(expired);
        return `https://127.0.0.1:${expired.port}/api`;
      },
      'has expired: renew it',
    ],
    ['none', async () => unleash.apiUrl.replace('http:', 'https:'), 'does not speak TLS on this port'],
  ])('explains %s', async (what, url, help) => {
    const http = what === 'an unknown CA' ? {} : { ca: ca.own.cert };
    const error = await failure(admin(await url(), http));
    expect(error).toMatchObject({ code: 'ADMIN_CONNECTION', retryable: false });
    expect(error.message).toContain(help);
  });

  it('shows a client certificate where a server requires one', async () => {
    const strict = await tlsFront(unleash.url, {
      ...certificate,
      ca: ca.own.cert,
      requestCert: true,
      rejectUnauthorized: true,
    });
    open.push(strict);
    const url = `https://127.0.0.1:${strict.port}/api`;
    const error = await failure(admin(url, { ca: ca.own.cert }));
    expect(error.message).toContain('requires a client certificate');
    const { cert, key } = await ca.issue('guard');
    const http = { ca: ca.own.cert, cert, key };
    await unleash.createFlag('client-certificate', { percentage: 10 });
    expect(await admin(url, http).readFlag('client-certificate')).toMatchObject({ enabled: true });
    await stopsFlag('client-certificate-stop', url, { http });
  });

  it.each<[string, unknown, string]>([
    ['http.proxy', { proxy: 'proxy:3128' }, 'a URL that begins with http:// or https://'],
    ['http.proxy', { proxy: 'socks5://u:hidden-word@h' }, 'a URL that begins with http:// or https://'],
    ['http.proxy', { proxy: 'u:hidden-word@h:3128' }, 'a URL that begins with http:// or https://'],
    ['http.proxy', { proxy: 'http://d\\u:hidden-word@h' }, 'a URL that begins with http:// or https://'],
    ['http.proxy', { proxy: 'http://h:3128/proxy.pac' }, 'has no path'],
    ['http.dispatcher', { dispatcher: {} }, 'a dispatcher goes with a fetch of its own'],
    ['http.ca', { ca: '/no/such/file' }, 'a certificate in PEM form, or the path of a file'],
    ['http.ca', { ca: Buffer.from('no certificate') }, 'a certificate in PEM form, or the path of a file'],
    ['http.ca[0]', { ca: ['OTHER'] }, 'a certificate in PEM form, or the path of a file'],
    [
      'http.ca',
      { ca: '-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----' },
      'a certificate in PEM form, or the path of a file',
    ],
    ['http.key', { cert: 'CERT' }, 'a certificate and the key that belongs to it'],
    ['http.key', { cert: 'CERT', key: 'OTHER' }, 'a certificate and the key that belongs to it'],
    ['http.agent', { agent: () => new Agent(), proxy: false }, 'no other option beside it'],
    ['http.prox', { prox: 'http://h' }, 'one of proxy'],
  ])('refuses a wrong %s when the provider is made (%#)', async (path, given, expected) => {
    const other = await ca.issue('other');
    const pems: Record<string, string> = { CERT: certificate.cert, OTHER: other.key };
    const entries = Object.entries(given as object).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => pems[one] ?? one) : (pems[value] ?? value),
    ]);
    const make = () =>
      new UnleashProvider({ url: 'http://unleash/api', appName: 'test', http: Object.fromEntries(entries) });
    try {
      make();
      expect.unreachable();
    } catch (error) {
      if (!isConfigError(error)) throw error;
      expect(error.problems).toHaveLength(1);
      expect(error.problems[0]).toMatchObject({ path, expected: expect.stringContaining(expected) });
      expect(error.message).not.toContain('hidden-word');
    }
  });
});

describe('a guarded provider behind a proxy and a private CA', () => {
  async function guarded(
    flagKey: string,
    token: 'client' | 'admin',
    url: string,
    http?: HttpOptions,
  ): Promise<GuardedProvider> {
    const { clientToken, adminToken, environment } = unleash;
    const provider = new GuardedProvider(new InMemoryProvider({ [flagKey]: IN_MEMORY_ON }), {
      unleash: {
        url,
        token: token === 'client' ? clientToken : adminToken,
        environment,
        refreshIntervalMs: 200,
      },
      initializationTimeoutMs: 100,
      http,
      logger: false,
    });
    open.push({ close: () => provider.onClose() });
    provider.flag(flagKey);
    await provider.initialize();
    return provider;
  }

  describe.each(['client', 'admin'] as const)('with a token for the %s API', (token) => {
    it('reads the facts as the environment says, and as `http` does', async () => {
      const through = await proxy({ password: 'user:p%40ss' });
      const [flagOfHttp, flagOfEnvironment] = [`guarded-http-${token}`, `guarded-env-${token}`];
      const flags = [flagOfHttp, flagOfEnvironment];
      await Promise.all(flags.map((key) => unleash.createFlag(key, { percentage: 30 })));
      const ofHttp = await guarded(flagOfHttp, token, secureUrl(), {
        proxy: through.url,
        ca: ca.own.cert,
      });
      vi.stubEnv('HTTP_PROXY', through.url);
      const ofEnvironment = await guarded(flagOfEnvironment, token, plainUrl());

      await eventually(() => {
        expect(ofHttp.flag(flagOfHttp)?.rolloutPercentage).toBe(30);
        expect(ofEnvironment.flag(flagOfEnvironment)?.rolloutPercentage).toBe(30);
      });
      expect(new Set(through.seen)).toEqual(new Set([`CONNECT ${HOST}`, `GET ${HOST}`]));
    });

    it.each([
      ['asks for a user and password', { password: 'user:secret-word' }, /answered 407.*asks for a user/],
      ['refuses', { refuses: 403 }, /answered 403.*does not allow/],
      ['does not reach Unleash', { refuses: 502 }, /answered 502.*cannot reach/],
    ])('says that the proxy %s, and goes on', async (_, options, problem) => {
      const through = await proxy(options);
      const provider = await guarded('refused', token, plainUrl(), {
        proxy: through.address,
      });

      await eventually(() => expect(provider.health().message).toMatch(problem));
      expect(await provider.resolveBooleanEvaluation('refused', false, {}, console)).toMatchObject({
        value: true,
      });
    });
  });

  it('gives its connection to its guards', async () => {
    const through = await proxy();
    const flagKey = 'guarded-stops';
    const { clientToken: token } = unleash;
    const provider = new GuardedProvider(new InMemoryProvider({ [flagKey]: IN_MEMORY_ON }), {
      unleash: { url: plainUrl(), token, refreshIntervalMs: 200 },
      http: { proxy: through.url },
      logger: false,
    });
    open.push({ close: () => provider.onClose() });

    await stopsFlag(flagKey, plainUrl(), { flags: provider });

    expect(through.seen).toContain(`POST ${HOST}`);
  });
});

describe('the command line behind a proxy and a private CA', () => {
  async function run(args: readonly string[], environment: Record<string, string>) {
    const main = await compiledFile('dist/cli.js');
    const env = {
      PATH: process.env.PATH,
      UNLEASH_URL: secureUrl(),
      UNLEASH_ENVIRONMENT: unleash.environment,
      UNLEASH_CLIENT_TOKEN: unleash.clientToken,
      UNLEASH_ADMIN_TOKEN: unleash.adminToken,
      ...environment,
    };
    return new Promise<{ readonly code: number; readonly out: string }>((resolve) => {
      execFile(process.execPath, [main, ...args], { cwd: folder, env }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), out: stdout + stderr }),
      );
    });
  }

  it('doctor and drill use the environment', async () => {
    const through = await proxy({ password: 'user:secret-word' });
    const file = join(folder, 'known.pem');
    await writeFile(file, ca.own.cert);
    await unleash.createFlag('connection-doctor', { percentage: 10 });
    const environment = { HTTPS_PROXY: through.url, NODE_EXTRA_CA_CERTS: file };
    const doctor = await run(['doctor', '--flag', 'connection-doctor', '--timeout', '20000'], environment);
    expect(doctor.out).toContain('An Unleash answers');
    expect(doctor.code).toBe(0);
    const drill = await run(['drill', '--timeout', '20000'], environment);
    expect(drill.out).toContain('archived and deleted');
    expect(drill.code).toBe(0);
    expect(through.seen.every((line) => line === `CONNECT ${HOST}`)).toBe(true);
  });

  it('doctor takes both from options, and explains what is missing', async () => {
    const through = await proxy({ password: 'user:secret-word' });
    const file = join(folder, 'given.pem');
    await writeFile(file, ca.own.cert);
    const args = ['doctor', '--flag', 'connection-doctor', '--timeout', '20000'];
    const healthy = await run([...args, '--proxy', through.url, '--ca', file], {});
    expect(healthy.out).toContain('An Unleash answers');
    const unknown = await run([...args, '--proxy', through.url], {});
    expect(unknown.out).toContain('does not know the CA');
    const asked = await run([...args, '--ca', file], { https_proxy: through.address });
    expect(asked.out).toContain('asks for a user and password');
    expect(unknown.code).toBe(1);
    const wrong = await run([...args, '--ca', '/no/such/file'], {});
    expect(wrong.out).toContain('ca: expected a certificate');
    expect(wrong.code).toBe(2);
    expect([healthy, unknown, asked, wrong].map(({ out }) => out).join()).not.toContain('secret-word');
  });
});
