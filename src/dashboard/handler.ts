import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../support/async/callbacks.js';
import { type DashboardOptions, resolveDashboardOptions } from './dashboard-options.js';
import type { DashboardServer } from './server/dashboard-server.js';
import type { RolloutSource } from './source.js';

/** Replies to the requests below the path where it is mounted. Express, Fastify, Hono and plain `node:http` can call it. */
export interface DashboardHandler {
  (request: IncomingMessage, response: ServerResponse): void;
  /** Ends the streams of all open pages. */
  close(): void;
}

/**
 * The handler of a dashboard. What it needs is loaded with the first request, so that a service whose dashboard nobody opens has none of
 * it in memory.
 *
 * @throws ConfigError that lists everything that is wrong with the options.
 */
export function dashboardHandler(
  sources: () => readonly RolloutSource[],
  options?: DashboardOptions,
): DashboardHandler {
  const resolved = resolveDashboardOptions(options);
  let loading: Promise<DashboardServer> | undefined;
  const load = async () => {
    const { DashboardServer } = await import('./server/dashboard-server.js');
    return new DashboardServer(sources, resolved);
  };
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    loading ??= load();
    loading.then(
      (server) => server.handle(request, response),
      (error) => {
        // The next request tries again.
        loading = undefined;
        response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
        response.end(`The dashboard cannot be loaded: ${messageOf(error)}\n`);
      },
    );
  };
  const close = () => {
    loading?.then(
      (server) => server.close(),
      () => {},
    );
  };
  return Object.assign(handler, { close });
}
