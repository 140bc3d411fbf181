import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { pipeline, Transform } from 'node:stream';
import { constants, createUnzip } from 'node:zlib';
import type { Unleash, UnleashConfig } from 'unleash-client';
import { messageOf } from '../../../src/support/async/callbacks.js';
import { Connection } from '../../../src/support/connection/connection.js';
import { explainFailure } from '../../../src/support/connection/connection-advice.js';
import type { HttpOptions } from '../../../src/support/connection/http-options.js';
import { ProxyError } from '../../../src/support/connection/proxy-agents.js';
import { DeadlineError, withDeadline } from '../../../src/support/deadline.js';
import type { Logger } from '../../../src/support/logger.js';
import { type HeadersFunction, internalsOf, type Storage } from './client-access.js';

/** No answer of the client API may be larger, decompressed: 32 MiB are some 30,000 flags. */
const MAX_ANSWER_BYTES = 32 * 1_024 * 1_024;

/** unleash-client's own; it cannot poll at all with a shorter time limit than {@link SHORTEST_TIMEOUT_MS}. */
const DEFAULT_TIMEOUT_MS = 10_000;
const SHORTEST_TIMEOUT_MS = 1_000;

/** unleash-client's own. */
const DEFAULT_METRICS_INTERVAL_MS = 60_000;

const NO_STREAM =
  'Its stream has sent no flags. Where it may be missing, leave out experimentalMode: flags are then polled.';

/**
 * Stands between an unleash-client of the provider's own and everything that may fail or hang there: the server, the
 * storage, and the function that gives headers. unleash-client would end its polling for good, silently, or the process.
 *
 * - An answer above 32 MiB fails, and so does one that takes longer than a `timeout` below a second.
 * - Headers come within the time limit, or the poll fails and the next one follows. Metrics then use the last ones.
 * - The storage is never waited for; what it does not store is logged, once.
 * - {@link Transport.close} ends every request.
 */
export class Transport {
  /** For unleash-client. */
  readonly config: UnleashConfig;
  readonly #given: UnleashConfig;
  readonly #logger: Logger;
  readonly #connection: Connection;
  readonly #requests = new Set<ClientRequest>();
  readonly #closing = new AbortController();
  #lastFailure: string | undefined;
  #pending = 0;
  #activeAt = performance.now();
  #lastHeaders: Record<string, string | undefined>;

  constructor(config: UnleashConfig, logger: Logger, http?: HttpOptions | undefined) {
    this.#connection = new Connection(http);
    this.#given = config;
    this.#logger = logger;
    this.#lastHeaders = { ...config.customHeaders };
    const { timeout, customHeadersFunction, httpOptions } = config;
    this.config = {
      ...config,
      ...(timeout && { timeout: Math.max(timeout, SHORTEST_TIMEOUT_MS) }),
      ...(customHeadersFunction && { customHeadersFunction: this.#headers as never }),
      httpOptions: { ...httpOptions, agent: (url) => this.#agentFor(url) },
    };
  }

  /** How long there has been no request, and no wait for headers, in milliseconds. */
  get idleMs(): number {
    return this.#requests.size + this.#pending > 0 ? 0 : performance.now() - this.#activeAt;
  }

  /** Takes over what unleash-client's configuration has no option for. */
  attach(client: Unleash): void {
    const { repository, metrics } = internalsOf(client);
    // unleash-client does not catch what the function throws for metrics: it would end the process.
    if (metrics?.customHeadersFunction !== undefined) {
      metrics.customHeadersFunction = () => this.#headers().catch(() => this.#lastHeaders);
    }
    if (repository.storageProvider !== undefined) {
      repository.storageProvider = this.#unwaited(repository.storageProvider);
    }
  }

  /** The interval of usage metrics, in milliseconds; 0 when none are sent. */
  get metricsIntervalMs(): number {
    const { disableMetrics, metricsInterval } = this.#given;
    return disableMetrics ? 0 : (metricsInterval ?? DEFAULT_METRICS_INTERVAL_MS);
  }

  /** Whether the latest request for flags was answered, and as if with flags. */
  get isAnswered(): boolean {
    return this.#lastFailure === undefined;
  }

  /** How the latest request for flags failed, without credentials: unleash-client reports it only after its retries. */
  get lastFailure(): string | undefined {
    const isStreaming = this.#given.experimentalMode?.type === 'streaming';
    return this.#lastFailure ?? (isStreaming ? NO_STREAM : undefined);
  }

  /** Ends what is under way: it would keep the process alive. */
  close(): void {
    const reason = new Error('The provider was closed.');
    this.#closing.abort(reason);
    for (const request of this.#requests) request.destroy(reason);
  }

  get #timeoutMs(): number {
    return this.#given.timeout || DEFAULT_TIMEOUT_MS;
  }

  readonly #headers: HeadersFunction = async () => {
    this.#pending++;
    try {
      this.#lastHeaders = await withDeadline(this.#timeoutMs, this.#closing.signal, async () =>
        // Wrapped: it may return something else than a promise, or throw at once.
        this.#given.customHeadersFunction!(),
      );
      return this.#lastHeaders;
    } catch (error) {
      // unleash-client needs an error, whatever was thrown.
      const cause = messageOf(error);
      throw new Error(`customHeadersFunction failed: ${cause}`);
    } finally {
      this.#pending--;
      this.#activeAt = performance.now();
    }
  };

  #agentFor(url: URL): Agent {
    const agent = this.#agentOrFailure(url);
    return new Proxy(agent, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name !== 'addRequest') return value.bind(target);
        return (request: ClientRequest, options: RequestOptions) => {
          this.#supervise(request, url);
          return value.call(target, request, withoutBrackets(options));
        };
      },
    });
  }

  #agentOrFailure(url: URL): Agent {
    try {
      return this.#connection.agentFor(url);
    } catch (error) {
      this.#failed(url, `Unleash cannot be asked: ${failureOf(error)}`);
      throw error;
    }
  }

  #supervise(request: ClientRequest, url: URL): void {
    this.#requests.add(request);
    const timeoutMs = this.#timeoutMs;
    const timer = setTimeout(() => request.destroy(this.#timedOut(url, timeoutMs)), timeoutMs).unref();
    // unleash-client's own time begins with the connection, for which a proxy may let it wait.
    if (timeoutMs >= SHORTEST_TIMEOUT_MS) request.once('socket', () => clearTimeout(timer));
    request.once('close', () => {
      clearTimeout(timer);
      this.#requests.delete(request);
      this.#activeAt = performance.now();
    });
    const emit = request.emit.bind(request) as (event: string, ...details: unknown[]) => boolean;
    request.emit = (event: string, ...details: unknown[]) => {
      if (event === 'error') this.#failed(url, `Unleash did not answer: ${failureOf(details[0])}`);
      if (event !== 'response') return emit(event, ...details);
      const response = details[0] as IncomingMessage;
      const { statusCode = 0, headers } = response;
      const fault = this.#connection.proxyFault(url, statusCode, headers['content-type']);
      if (fault !== undefined) {
        response.resume();
        response.on('error', () => {});
        return request.emit('error', fault);
      }
      this.#failed(
        url,
        statusCode < 400 ? undefined : `Unleash answered ${statusCode} to GET ${url.pathname}.`,
      );
      return emit(event, limited(response));
    };
    if (this.#closing.signal.aborted) request.destroy(this.#closing.signal.reason);
  }

  #failed(url: URL, failure: string | undefined): void {
    if (/\/client\/(features|delta)/.test(url.pathname)) this.#lastFailure = failure;
  }

  #timedOut(url: URL, timeoutMs: number): Error {
    const error = new DeadlineError(timeoutMs);
    const proxy = this.#connection.proxyFor(url);
    return proxy === undefined ? error : new ProxyError(proxy, error.message, false);
  }

  /** A storage whose writes are not waited for, one after another, the latest state only. */
  #unwaited(storage: Storage): Storage {
    let next: (() => Promise<void>) | undefined;
    let isWriting = false;
    let isReported = false;
    const write = async (): Promise<void> => {
      isWriting = true;
      for (let task = next; task !== undefined; task = next) {
        next = undefined;
        try {
          await task();
          isReported = false;
        } catch (error) {
          if (!isReported) {
            this.#logger.warn({ error: String(error) }, 'The flags could not be stored for the next start');
          }
          isReported = true;
        }
      }
      isWriting = false;
    };
    return {
      get: (key) => withDeadline(this.#timeoutMs, this.#closing.signal, async () => storage.get(key)),
      set: async (key, data) => {
        next = async () => storage.set(key, data);
        if (!isWriting) void write();
      },
    };
  }
}

/** unleash-client leaves the brackets around an address of IPv6, which then cannot be resolved. */
function withoutBrackets(options: RequestOptions): RequestOptions {
  if (!options.host?.startsWith('[')) return options;
  const host = options.host.slice(1, -1);
  return { ...options, host, hostname: host };
}

function failureOf(error: unknown): string {
  const { reason, help } = explainFailure(error);
  return help === undefined ? `${reason}.` : `${reason}. ${help}`;
}

/** The answer, decompressed, which fails as soon as it is too large. */
function limited(response: IncomingMessage): IncomingMessage {
  const { statusCode, statusMessage, headers, trailers } = response;
  const encoding = headers['content-encoding'];
  const isCompressed = statusCode === 200 && (encoding === 'gzip' || encoding === 'deflate');
  let received = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _, done) {
      received += chunk.length;
      if (received <= MAX_ANSWER_BYTES) done(null, chunk);
      else done(new Error(`The answer of Unleash is larger than ${MAX_ANSWER_BYTES / 1_024 / 1_024} MiB.`));
    },
  });
  if (isCompressed) {
    pipeline(response, createUnzip({ finishFlush: constants.Z_SYNC_FLUSH }), counter, () => {});
  } else {
    pipeline(response, counter, () => {});
  }
  const { 'content-encoding': _, 'content-length': __, ...plainHeaders } = headers;
  return Object.assign(counter, {
    statusCode,
    statusMessage,
    headers: isCompressed ? plainHeaders : headers,
    trailers,
  }) as unknown as IncomingMessage;
}
