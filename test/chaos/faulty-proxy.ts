import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as requestTo,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What is wrong with an API. */
export type HttpFault =
  /** Each request gets this status, with these headers. */
  | { readonly type: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** No answer comes in time. */
  | { readonly type: 'slow' }
  /** Each answer is valid JSON of this size. */
  | { readonly type: 'huge'; readonly megabytes: number }
  /** The server does what it is asked, and the connection breaks within its answer. */
  | { readonly type: 'cut' }
  /** Connections are closed, and new ones refused. */
  | { readonly type: 'unreachable' };

/** A key and a certificate, as PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

/** An HTTP or HTTPS proxy in front of a real server, which can be made faulty. */
export class FaultyProxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #server: Server | TlsServer;
  readonly #isTls: boolean;
  #port = 0;
  #fault: HttpFault | undefined;
  /** Answers that are kept back. */
  readonly #pending = new Set<ServerResponse>();

  private constructor(target: string, tls: TlsIdentity | undefined) {
    this.#target = new URL(target);
    this.#isTls = tls !== undefined;
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response);
    this.#server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest);
  }

  static async start(target: string, tls?: TlsIdentity): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target, tls);
    await proxy.#listen(0);
    proxy.#port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  get url(): string {
    return `${this.#isTls ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  async inject(fault: HttpFault): Promise<void> {
    this.#fault = fault;
    if (fault.type !== 'unreachable') return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.closeConnections();
    await closed;
  }

  async heal(): Promise<void> {
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault?.type === 'unreachable') await this.#listen(this.#port);
    for (const response of this.#pending) response.destroy();
    this.#pending.clear();
  }

  /** From now on, new connections get this certificate. */
  setCertificate(tls: TlsIdentity): void {
    (this.#server as TlsServer).setSecureContext(tls);
  }

  closeConnections(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.closeConnections();
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {});
    const fault = this.#fault;
    switch (fault?.type) {
      case 'status':
        request.resume();
        response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
        response.end(JSON.stringify({ name: 'ChaosError', message: 'An injected fault.' }));
        break;
      case 'slow':
        request.resume();
        this.#pending.add(response);
        break;
      case 'huge':
        request.resume();
        sendHuge(response, fault.megabytes);
        break;
      default:
        this.#forward(request, response, fault?.type === 'cut');
    }
  }

  #forward(request: IncomingMessage, response: ServerResponse, isCut: boolean): void {
    const { hostname, port } = this.#target;
    const { method, url, headers } = request;
    const forwarded = requestTo({ hostname, port, method, path: url, headers }, (answer) => {
      answer.on('error', () => response.destroy());
      if (isCut) {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1_000 });
        response.write('{"', () => response.destroy());
        answer.resume();
        return;
      }
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  }
}

function sendHuge(response: ServerResponse, megabytes: number): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const part = Buffer.alloc(1024 * 1024, ' ');
  let left = megabytes;
  const send = () => {
    while (left > 0) {
      left -= 1;
      if (response.destroyed) return;
      if (!response.write(part)) {
        response.once('drain', send);
        return;
      }
    }
    response.end('{}');
  };
  send();
}
