import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import type { ResolvedDashboardOptions } from '../dashboard-options.js';
import { RateLimit } from './rate-limit.js';
import { Refusal } from './reply.js';
import { csrfTokenOf, isSameSecret, newSession, sessionOf, setCookie } from './session.js';

/** What one request may do. */
export interface Rights {
  /** Who acts; undefined for a reader. */
  readonly by: string | undefined;
  /** What a control must be sent with; undefined for a program, which has no cookie that a foreign page could use. */
  readonly csrfToken: string | undefined;
}

/** Wrong tokens of one address within a minute. */
const MOST_WRONG_TOKENS = 10;
const MINUTE_MS = 60_000;

/** Decides who may read and who may act. */
export class Access {
  readonly #options: ResolvedDashboardOptions;
  readonly #tokens: readonly string[];
  readonly #wrongTokens = new RateLimit(MOST_WRONG_TOKENS, MINUTE_MS);

  constructor(options: ResolvedDashboardOptions) {
    this.#options = options;
    const { token, controls } = options;
    this.#tokens = [controls !== undefined && 'token' in controls ? controls.token : undefined, token].filter(
      (each) => each !== undefined,
    );
  }

  /**
   * Refuses a name that a foreign page has made point to this machine, whose requests would otherwise count as of this page.
   *
   * @throws Refusal
   */
  checkHost({ headers, socket }: IncomingMessage): void {
    const host = String(headers[':authority'] ?? headers.host ?? '');
    const { hosts } = this.#options;
    if (isLoopbackName(nameOf(host)) || this.#isOwnHost(host)) return;
    const isLocal = isLoopbackName(unmapped(socket.localAddress));
    if (!isLocal && hosts.length === 0) return;
    throw new Refusal(
      403,
      `The dashboard is not known as ${JSON.stringify(host)}. If that is its name, add it to the option "hosts".`,
    );
  }

  /** Whether the request's URL brings a token: the reply sets the cookie. @throws Refusal for a wrong one. */
  signIn(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): boolean {
    const given = query.get('token');
    if (given === null || this.#tokens.length === 0) return false;
    const token = this.#checked(request, given);
    response.setHeader('set-cookie', setCookie(request, this.#tokens, newSession(token, Date.now())));
    return true;
  }

  /**
   * What a request to the API may do.
   *
   * @throws Refusal for whoever may not even read.
   */
  async rightsOf(request: IncomingMessage, response: ServerResponse): Promise<Rights> {
    const { token, controls } = this.#options;
    const bearer = /^bearer\s+(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const isAuthorizing = controls !== undefined && 'authorize' in controls;
    // The application's own sign-in may use the same header.
    const isProgram = bearer !== undefined && this.#tokens.length > 0 && !isAuthorizing;
    const session = sessionOf(request, this.#tokens, Date.now());
    const used = isProgram ? this.#checked(request, bearer.trim()) : session?.token;
    if (token !== undefined && used === undefined) {
      throw new Refusal(401, 'Open the dashboard with the address that has its token, as it was printed.');
    }
    const by = isAuthorizing ? await this.#authorized(request) : this.#byToken(used);
    if (by === undefined || isProgram) return { by, csrfToken: undefined };
    if (session !== undefined) return { by, csrfToken: csrfTokenOf(session) };
    const value = newSession(undefined, Date.now());
    response.setHeader('set-cookie', setCookie(request, this.#tokens, value));
    const [, nonce = ''] = value.split('.');
    return { by, csrfToken: csrfTokenOf({ nonce, token: undefined }) };
  }

  /** Refuses a control that another page has sent with the operator's cookie. @throws Refusal */
  checkOrigin(request: IncomingMessage, { csrfToken }: Rights): void {
    const { headers } = request;
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin')
      throw new Refusal(403, 'The request is of another page.');
    if (csrfToken === undefined) return;
    if (site === undefined && headers.origin !== undefined && !this.#isSameOrigin(headers.origin, request)) {
      throw new Refusal(403, 'The request is of another origin.');
    }
    const given = headers['x-csrf-token'];
    if (typeof given !== 'string' || !isSameSecret(given, csrfToken)) {
      throw new Refusal(403, 'The header x-csrf-token is missing or wrong: load the page again.');
    }
  }

  #checked(request: IncomingMessage, given: string): string {
    const address = request.socket.remoteAddress ?? '';
    if (this.#wrongTokens.isExceeded(address)) {
      throw new Refusal(429, 'Too many wrong tokens. Wait a minute.', { 'retry-after': '60' });
    }
    const token = this.#tokens.find((each) => isSameSecret(given, each));
    if (token !== undefined) return token;
    this.#wrongTokens.use(address);
    throw new Refusal(401, 'The token is wrong.');
  }

  /** Whoever has the token of the controls may act; without one of their own, nobody may. */
  #byToken(used: string | undefined): string | undefined {
    const { controls } = this.#options;
    if (controls === undefined || !('token' in controls) || used === undefined) return undefined;
    return isSameSecret(used, controls.token) ? controls.by : undefined;
  }

  async #authorized(request: IncomingMessage): Promise<string | undefined> {
    const { controls } = this.#options;
    if (controls === undefined || !('authorize' in controls)) return undefined;
    try {
      const by: unknown = await controls.authorize(request);
      return typeof by === 'string' && by !== '' ? by.slice(0, 200) : undefined;
    } catch {
      return undefined;
    }
  }

  #isSameOrigin(origin: string, { headers }: IncomingMessage): boolean {
    const host = URL.canParse(origin) ? new URL(origin).host : '';
    return host !== '' && (host === headers.host || this.#isOwnHost(host));
  }

  #isOwnHost(host: string): boolean {
    return this.#options.hosts.some((each) => each === host || each === nameOf(host));
  }
}

/** A host without its port and brackets. */
function nameOf(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}

function isLoopbackName(name: string): boolean {
  return (
    name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
  );
}

/** An IPv4 address that a socket of both versions shows. */
function unmapped(address = ''): string {
  return isIPv6(address) ? address.replace(/^::ffff:/i, '') : address;
}
