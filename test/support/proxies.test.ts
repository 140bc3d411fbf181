import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Connection, proxyOfEnvironment } from '../../src/support/connection/connection.js';
import { exchange } from '../../src/support/connection/http.js';
import { eventually } from '../helpers/eventually.js';

const open: (() => void)[] = [];

afterEach(() => {
  vi.unstubAllEnvs();
  for (const close of open.splice(0)) close();
});

/** A proxy that does this with each connection. @param sockets - Gets the connections. */
async function proxyThat(treat: (socket: Socket) => void, sockets = new Set<Socket>()): Promise<string> {
  const server: Server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    treat(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const read = (url: string, proxy: string, timeoutMs = 20_000) =>
  exchange(new Connection({ proxy }).fetch, { method: 'GET', url, headers: {} }, timeoutMs);

describe('the proxy of the environment', () => {
  it.each([
    ['HTTPS_PROXY', 'proxy.corp:3128', 'http://proxy.corp:3128'],
    ['https_proxy', 'user:pw@proxy.corp:3128', 'http://user:pw@proxy.corp:3128'],
    ['ALL_PROXY', 'proxy.corp:3128', 'http://proxy.corp:3128'],
    ['HTTPS_PROXY', 'https://proxy.corp:3129', 'https://proxy.corp:3129'],
    ['HTTPS_PROXY', 'http://proxy.corp:3128', 'http://proxy.corp:3128'],
  ])('is reached by http unless it says otherwise: %s=%s', (name, value, expected) => {
    vi.stubEnv(name, value);
    expect(proxyOfEnvironment('https://unleash.corp/api')).toBe(expected);
  });

  it.each([
    ['unleash.corp', 'https://unleash.corp/api'],
    ['a.b, UNLEASH.corp', 'https://unleash.corp/api'],
    ['unleash.corp.', 'https://unleash.corp/api'],
    ['unleash.corp', 'https://unleash.corp./api'],
    ['https://unleash.corp/', 'https://unleash.corp/api'],
    ['.corp', 'https://unleash.corp/api'],
    ['*.corp', 'https://eu.unleash.corp/api'],
    ['*', 'https://unleash.corp/api'],
    ['unleash.corp:443', 'https://unleash.corp/api'],
    ['unleash.corp:4242', 'http://unleash.corp:4242/api'],
    ['10.0.0.0/8', 'http://10.200.3.4:4242/api'],
    ['10.1.2.*', 'http://10.1.2.3/api'],
    ['127.0.0.1:4242', 'http://127.0.0.1:4242/api'],
    ['::1', 'http://[::1]:4242/api'],
    ['[::1]', 'http://[::1]:4242/api'],
    ['[::1]:4242', 'http://[::1]:4242/api'],
    ['0:0:0:0:0:0:0:1', 'http://[::1]:4242/api'],
    ['fd00::/8', 'http://[fd12::5]/api'],
  ])('is not used for what NO_PROXY=%s lists: %s', (list, url) => {
    vi.stubEnv('ALL_PROXY', 'http://proxy.corp:3128');
    vi.stubEnv('NO_PROXY', list);
    expect(proxyOfEnvironment(url)).toBe('');
  });

  it.each([
    ['corp', 'https://unleash.corp/api'],
    ['leash.corp', 'https://unleash.corp/api'],
    ['.corp', 'https://corp/api'],
    ['unleash.corp:8443', 'https://unleash.corp/api'],
    ['unleashxcorp,unleash-corp', 'https://unleash.corp/api'],
    ['11.0.0.0/8', 'http://10.200.3.4/api'],
    ['10.0.0.0/64,fd00::/200,/8,10.0.0.0/', 'http://10.200.3.4/api'],
    ['::2,[::1]:80', 'http://[::1]:4242/api'],
    [',;:, (', 'https://unleash.corp/api'],
  ])('is used for what NO_PROXY=%s does not list: %s', (list, url) => {
    vi.stubEnv('ALL_PROXY', 'http://proxy.corp:3128');
    vi.stubEnv('NO_PROXY', list);
    expect(proxyOfEnvironment(url)).toBe('http://proxy.corp:3128');
  });

  it.each([
    ['http://user:p#ss-word@proxy.corp:3128', 'percent-encoded'],
    ['http://corp\\user:pass-word@proxy.corp:3128', 'percent-encoded'],
    ['http://user:100%-word@proxy.corp:3128', 'percent-encoded'],
    ['socks5://proxy.corp:1080', 'not a URL with http:// or https://'],
  ])('cannot be used, and is not shown, when it is %s', async (proxy, expected) => {
    vi.stubEnv('ALL_PROXY', proxy);
    const request = { method: 'GET', url: 'https://unleash.corp/api', headers: {} } as const;
    const error = (await exchange(new Connection().fetch, request, 20_000).catch((error) => error)) as Error;
    expect(error.message).toContain(expected);
    expect(error.message).not.toMatch(/-word/);
  });

  it.each([undefined, '', '  '])('is none when the variable is %j', (value) => {
    vi.stubEnv('ALL_PROXY', value);
    expect(proxyOfEnvironment('https://unleash.corp/api')).toBe('');
  });
});

describe('a failure behind a proxy', () => {
  it.each(['http', 'https'])('names the proxy that closes the connection, for %s', async (scheme) => {
    const proxy = await proxyThat((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await expect(read(`${scheme}://unleash.corp/api`, proxy)).rejects.toThrow(
      `the proxy ${proxy} cannot be used`,
    );
  });

  it('names the proxy that speaks another language', async () => {
    const proxy = await proxyThat((socket) => socket.once('data', () => socket.end('220 mail\r\n\r\n')));
    await expect(read('https://unleash.corp/api', proxy)).rejects.toThrow(
      `the proxy ${proxy} cannot be used: its answer is not HTTP`,
    );
  });

  it.each(['http', 'https'])(
    'names the proxy that does not answer, and lets go of it, for %s',
    async (scheme) => {
      const sockets = new Set<Socket>();
      const proxy = await proxyThat((socket) => socket.resume(), sockets);
      await expect(read(`${scheme}://unleash.corp/api`, proxy, 300)).rejects.toThrow(
        `timed out after 300 ms, through the proxy ${proxy}`,
      );
      await eventually(() => expect([...sockets].map(({ closed }) => closed)).toEqual([true]));
    },
  );

  it('is the server’s own where no proxy is on the way', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const { fetch } = new Connection({ proxy: false });
    const request = { method: 'GET', url: `http://127.0.0.1:${port}/`, headers: {} } as const;
    await expect(exchange(fetch, request, 100)).rejects.toThrow(/^timed out after 100 ms$/);
  });
});
