import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Pem } from './private-ca.js';

/** How a forward proxy behaves. It leads every name to this machine: names that resolve nowhere are reached through it only. */
export interface ForwardProxyOptions {
  /** `user:password` that it asks for. @default none */
  readonly password?: string;
  /** The status with which it refuses every request. @default none */
  readonly refuses?: number;
  /** It speaks TLS itself. @default plain */
  readonly tls?: Pem;
}

/** A real forward proxy: `CONNECT`, and whole addresses in the request line. */
export class ForwardProxy {
  /** The request lines that it accepted. */
  readonly seen: string[] = [];
  readonly #server: Server;
  readonly #options: ForwardProxyOptions;
  readonly #sockets = new Set<Socket>();

  private constructor(options: ForwardProxyOptions) {
    this.#options = options;
    this.#server = options.tls === undefined ? createServer() : createTlsServer(options.tls);
    this.#server.on('connection', (socket: Socket) => this.#keep(socket));
    this.#server.on('request', (request, response) => {
      const status = this.#refusal(request);
      if (status !== undefined) {
        response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>The proxy refuses.</h1>');
        return;
      }
      const { hostname, port, pathname, search } = new URL(request.url ?? '');
      this.seen.push(`${request.method} ${hostname}`);
      const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = request.headers;
      const onward = httpRequest(
        { host: '127.0.0.1', port, path: pathname + search, method: request.method, headers },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        },
      );
      onward.on('error', () => response.writeHead(502, { 'content-type': 'text/html' }).end('unreachable'));
      request.pipe(onward);
    });
    this.#server.on('connect', (request: IncomingMessage, socket: Socket) => {
      socket.on('error', () => {});
      const status = this.#refusal(request);
      if (status !== undefined) {
        socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      this.seen.push(`CONNECT ${request.url?.split(':')[0]}`);
      const onward = connect(Number(request.url?.split(':')[1]), '127.0.0.1');
      this.#keep(onward);
      onward.on('connect', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onward.pipe(socket);
        socket.pipe(onward);
      });
      onward.on('error', () => socket.end('HTTP/1.1 502 Bad gateway\r\ncontent-length: 0\r\n\r\n'));
    });
  }

  static async start(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** Its address with a user and password, if it asks for them. */
  get url(): string {
    const { password, tls } = this.#options;
    const { port } = this.#server.address() as AddressInfo;
    return `${tls ? 'https' : 'http'}://${password === undefined ? '' : `${password}@`}127.0.0.1:${port}`;
  }

  /** Its address alone. */
  get address(): string {
    return this.url.replace(/\/\/.*@/, '//');
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #refusal({ headers }: IncomingMessage): number | undefined {
    const { password, refuses } = this.#options;
    if (refuses !== undefined) return refuses;
    if (password === undefined) return undefined;
    const wanted = `Basic ${Buffer.from(decodeURIComponent(password)).toString('base64')}`;
    return headers['proxy-authorization'] === wanted ? undefined : 407;
  }
}
