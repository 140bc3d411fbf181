import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import type { GuardStatus } from '../../guard/guard-status.js';
import type { Health } from '../../model/health.js';

const PORT = 'a port, 0–65535; 0 is a free one';
const HOST = 'an address to listen on, for example 0.0.0.0';

/** Where a controller answers `GET /health`. */
export const healthOptionsSchema = z.strictObject({
  port: z.int({ error: PORT }).min(0, { error: PORT }).max(65_535, { error: PORT }),
  host: z.string({ error: HOST }).min(1, { error: HOST }).default('127.0.0.1'),
});

/** See {@link healthOptionsSchema}. */
export type HealthOptions = z.output<typeof healthOptionsSchema>;

/** What `/health` shows of one flag; nothing in it is secret. */
export interface FlagHealthReport extends Health {
  readonly flagKey: string;
  readonly dryRun: boolean;
  readonly guard: GuardStatus['state']['status'];
  readonly role: string;
}

/** What `/health` shows: of one flag its report, of several one for each, `blind` when any of them is. */
export type HealthReport =
  | FlagHealthReport
  | { readonly status: Health['status']; readonly flags: Readonly<Record<string, FlagHealthReport>> };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers `GET /health`: 200 while the guard can do its work, 503 with the reasons while it is blind. */
export class HealthServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * @param others - What is answered at other paths.
   * @throws when the address cannot be listened on.
   */
  static async listen(
    { port, host }: HealthOptions,
    report: () => HealthReport,
    others: Readonly<Record<string, Handler>> = {},
  ): Promise<HealthServer> {
    const server = createServer((request, response) => {
      const path = request.url?.split('?')[0];
      const other = Object.hasOwn(others, path ?? '') ? others[path ?? ''] : undefined;
      if (other !== undefined) {
        other(request, response);
        return;
      }
      if (path !== '/health') {
        response.writeHead(404).end();
        return;
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
        return;
      }
      const found = report();
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      response.writeHead(found.status === 'ok' ? 200 : 503, headers).end(`${JSON.stringify(found)}\n`);
    });
    server.listen(port, host);
    await once(server, 'listening');
    return new HealthServer(server);
  }

  /** Where it answers. */
  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') return '';
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}/health`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
