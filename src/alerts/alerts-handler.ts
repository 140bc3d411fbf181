import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../support/async/callbacks.js';
import { type AlertsOptions, resolveAlertsOptions } from './alert-options.js';
import type { AlertTarget } from './alert-target.js';

/** Replies to one request. Express, Fastify, Hono and plain `node:http` can call it. */
export type AlertsHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * The endpoint for alerts of these flags.
 *
 * @throws ConfigError that lists everything that is wrong with the options.
 */
export function alertsHandler(targets: () => readonly AlertTarget[], options: AlertsOptions): AlertsHandler {
  const resolved = resolveAlertsOptions(options);
  const load = async () => {
    const { AlertsServer } = await import('./alerts-server.js');
    return new AlertsServer(targets, resolved);
  };
  // Not with the first alert, which may come when a deployment has replaced the files of this process.
  const loading = load();
  loading.catch(() => {});
  return (request, response) => {
    loading.then(
      (server) => server.handle(request, response),
      (error) => {
        const message = `The endpoint for alerts cannot be loaded: ${messageOf(error)}`;
        response.writeHead(500, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(JSON.stringify({ message, results: [] }));
      },
    );
  };
}
