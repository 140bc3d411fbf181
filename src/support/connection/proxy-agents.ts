import type { ClientRequest } from 'node:http';
import type { SecureContext } from 'node:tls';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';

/** What TLS needs beside an address. */
export interface TlsOptions {
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: boolean;
}

/** Connections stay open for the next request, and none keeps the process alive. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 30_000 } as const;

/** Why a proxy is of no use. The message is a phrase without user and password. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code = 'PROXY';

  /**
   * @param proxy - Its address, as {@link shownProxy} gives it.
   * @param cause - The status of its answer, or a code such as `ECONNREFUSED`.
   * @param hasPassword - Whether a user and password were given.
   */
  constructor(
    readonly proxy: string,
    readonly failure: number | string,
    readonly hasPassword: boolean,
  ) {
    super(
      typeof failure === 'number'
        ? `the proxy ${proxy} answered ${failure}`
        : `the proxy ${proxy} cannot be used: ${failure}`,
    );
  }
}

/** Whether an error is a {@link ProxyError}, or one that took over its fields, as those of unleash-client do. */
export function isProxyError(error: object): error is ProxyError {
  return 'code' in error && error.code === 'PROXY' && 'failure' in error;
}

/** A proxy's address without user and password. */
export function shownProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

/** Through a proxy to an `https:` address: by `CONNECT`. */
export class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #tls: TlsOptions;

  constructor(proxy: URL, tls: TlsOptions) {
    super(proxy.href, { ...KEEP_ALIVE, ...tls });
    this.#tls = tls;
  }

  override async connect(...[request, options]: Parameters<HttpsProxyAgent<string>['connect']>) {
    let status: number | undefined;
    request.once('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      status = statusCode;
    });
    const socket = await viaProxy(this, request, () => super.connect(request, { ...options, ...this.#tls }));
    if (status === 200) return socket;
    // The package would hand the proxy's answer on as that of the server.
    socket.destroy();
    throw new ProxyError(shownProxy(this.proxy), status || 'its answer is not HTTP', hasPassword(this.proxy));
  }
}

/** Through a proxy to an `http:` address: with the whole address in the request line. */
export class ForwardAgent extends HttpProxyAgent<string> {
  constructor(proxy: URL, tls: TlsOptions) {
    super(proxy.href, { ...KEEP_ALIVE, ...tls });
  }

  override connect(...[request, options]: Parameters<HttpProxyAgent<string>['connect']>) {
    return viaProxy(this, request, () => super.connect(request, options));
  }
}

/**
 * Connects, no longer than the request wants. Node.js ends a request that has no socket yet only when it gets one, which a proxy that
 * does not answer never gives it.
 */
async function viaProxy<T>(
  agent: { readonly proxy: URL; connectOpts: object },
  request: ClientRequest,
  connect: () => Promise<T>,
): Promise<T> {
  const { proxy } = agent;
  const ended = new AbortController();
  const destroy = request.destroy.bind(request);
  request.destroy = (error) => {
    ended.abort(error);
    return destroy(error);
  };
  agent.connectOpts = { ...agent.connectOpts, signal: ended.signal };
  try {
    if (request.destroyed) ended.abort();
    return await connect();
  } catch (error) {
    ended.signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ProxyError(shownProxy(proxy), code ?? message, hasPassword(proxy));
  } finally {
    request.destroy = destroy;
  }
}

/** What a proxy answers where it cannot or may not reach a server. */
export const ANSWERS_OF_PROXIES: readonly number[] = [403, 502, 503, 504];

/** Whether user and password are known for a proxy. */
export function hasPassword({ username, password }: URL): boolean {
  return username !== '' || password !== '';
}
