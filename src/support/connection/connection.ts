import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getProxyForUrl } from 'proxy-from-env';
import { messageOf } from '../async/callbacks.js';
import { agentFetch } from './agent-fetch.js';
import { NO_AGENT } from './connection-advice.js';
import type { ProxiedFetch } from './http.js';
import { ENCODING, type HttpOptions, isProxyUrl, secureContextOf } from './http-options.js';
import { isExempt } from './no-proxy.js';
import {
  ANSWERS_OF_PROXIES,
  ForwardAgent,
  hasPassword,
  KEEP_ALIVE,
  ProxyError,
  shownProxy,
  type TlsOptions,
  TunnelAgent,
} from './proxy-agents.js';

/**
 * How the process connects: through which proxy, and with which certificates. The same for unleash-client, which takes agents,
 * and for whatever takes a `fetch`.
 */
export class Connection {
  readonly #options: HttpOptions;
  readonly #isDefault: boolean;
  /** By kind and proxy: an agent keeps connections. */
  readonly #agents = new Map<string, HttpAgent>();
  #tls: TlsOptions | undefined;

  /** @param options - Checked by `httpOptionsSchema`. */
  constructor(options: HttpOptions = {}) {
    this.#options = options;
    this.#isDefault = Object.values(options).every((value) => value === undefined);
  }

  /** The global `fetch` where neither an option nor the environment wants anything else of the connection. */
  readonly fetch: ProxiedFetch = Object.assign(
    (...[input, init]: Parameters<typeof globalThis.fetch>) => this.#fetch(input, init),
    { proxyFor: (url: URL) => this.proxyFor(url) },
  );

  /** The address of the proxy on the way to another one, without user and password; undefined where there is none. */
  proxyFor(url: URL): string | undefined {
    const proxy = this.#proxyFor(url);
    return proxy && shownProxy(proxy);
  }

  async #fetch(...[input, init = {}]: Parameters<typeof globalThis.fetch>): Promise<Response> {
    const url = new URL(input instanceof Request ? input.url : input);
    const proxy = this.#proxyFor(url);
    if (this.#isDefault && proxy === undefined) return globalThis.fetch(input, init);
    const response = await agentFetch(url, init, this.agentFor(url)).catch((error: unknown) => {
      throw this.#asProxyFault(url, error) ?? error;
    });
    // Within a tunnel, the server answers.
    if (proxy === undefined || url.protocol === 'https:') return response;
    const shown = shownProxy(proxy);
    if (response.status === 407) throw new ProxyError(shown, 407, hasPassword(proxy));
    return Object.assign(response, { proxy: shown });
  }

  /** A broken connection as one to the proxy, which it is without a tunnel; undefined for everything else. */
  #asProxyFault(url: URL, error: unknown): ProxyError | undefined {
    const proxy = url.protocol === 'https:' ? undefined : this.#proxyFor(url);
    const { code } = Object(error) as { readonly code?: unknown };
    if (proxy === undefined || typeof code !== 'string' || !/^E(?!RR_)[A-Z]+$/.test(code)) return undefined;
    return new ProxyError(shownProxy(proxy), code, hasPassword(proxy));
  }

  /** Why an answer to unleash-client is that of a proxy rather than of Unleash, which replies with JSON. */
  proxyFault(url: URL, status = 0, contentType = ''): ProxyError | undefined {
    const proxy = url.protocol === 'https:' ? undefined : this.#proxyFor(url);
    if (proxy === undefined) return undefined;
    const isOfProxy =
      status === 407 || (ANSWERS_OF_PROXIES.includes(status) && !contentType.includes('json'));
    return isOfProxy ? new ProxyError(shownProxy(proxy), status, hasPassword(proxy)) : undefined;
  }

  /** @throws {@link ProxyError} when the environment names no usable proxy, or an error when `agent` gives none. */
  agentFor(url: URL): HttpAgent {
    if (this.#options.agent !== undefined) return agentOf(this.#options.agent, url);
    const proxy = this.#proxyFor(url);
    const isSecure = url.protocol === 'https:';
    return this.#agent(`${isSecure} ${proxy?.href}`, () => {
      if (proxy === undefined)
        return isSecure
          ? new HttpsAgent({ ...KEEP_ALIVE, ...this.#tlsOptions() })
          : new HttpAgent(KEEP_ALIVE);
      return isSecure
        ? new TunnelAgent(proxy, this.#tlsOptions())
        : new ForwardAgent(proxy, this.#tlsOptions());
    });
  }

  #proxyFor(url: URL): URL | undefined {
    const { proxy = proxyOfEnvironment(url.href), agent } = this.#options;
    if (!proxy || agent !== undefined) return undefined;
    if (!isProxyUrl(proxy)) {
      const encoding = proxy.includes('@') ? `; ${ENCODING}` : '';
      const what = `its address is not a URL with http:// or https://${encoding}`;
      throw new ProxyError('of the environment', what, false);
    }
    return new URL(proxy);
  }

  #agent(key: string, make: () => HttpAgent): HttpAgent {
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#agents.set(key, made);
    return made;
  }

  #tlsOptions(): TlsOptions {
    if (this.#tls !== undefined) return this.#tls;
    const { rejectUnauthorized } = this.#options;
    const secureContext = secureContextOf(this.#options);
    this.#tls = {
      ...(secureContext !== undefined && { secureContext }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    };
    return this.#tls;
  }
}

function agentOf(give: (url: URL) => HttpAgent, url: URL): HttpAgent {
  let cause: unknown = 'it gave none';
  try {
    const agent: unknown = give(url);
    if (typeof agent === 'object' && agent !== null) return agent as HttpAgent;
  } catch (error) {
    cause = messageOf(error);
  }
  throw Object.assign(new Error(`The function \`agent\` failed: ${cause}`), { code: NO_AGENT });
}

/** The proxy that the environment names for an address; empty for none. One without a scheme is reached by `http:`. */
export function proxyOfEnvironment(url: string): string {
  // The package knows neither ranges of addresses nor IPv6 without brackets.
  if (isExempt(new URL(url), exemptOfEnvironment())) return '';
  const proxy = getProxyForUrl(url).trim();
  // It puts a scheme before white space.
  if (/^\w+:\/\/\s*$/.test(proxy)) return '';
  if (!proxy.startsWith('https://')) return proxy;
  // The package takes the scheme of the address for one that is missing.
  const given = proxy.slice('https://'.length);
  const hasNone = Object.entries(process.env).some(
    ([name, value]) => /_proxy$/i.test(name) && value === given,
  );
  return hasNone ? `http://${given}` : proxy;
}

/** As `proxy-from-env` reads it. */
function exemptOfEnvironment(): string {
  const { env } = process;
  return env.npm_config_no_proxy || env.NPM_CONFIG_NO_PROXY || env.no_proxy || env.NO_PROXY || '';
}

/** A `fetch` over a connection: the one that was given, or one by the options, or by the environment. */
export function fetchOver(options: {
  readonly fetch?: typeof globalThis.fetch | undefined;
  readonly http?: HttpOptions | undefined;
}): typeof globalThis.fetch {
  return options.fetch ?? new Connection(options.http).fetch;
}
