import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AlertsOptions, resolveAlertsOptions } from './alert-options.js';
import type { AlertTarget } from './alert-target.js';
import type { AlertsServer } from './alerts-server.js';

/** Replies to one request. Express, Fastify, Hono and plain `node:http` can call it. */
export type AlertsHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * The endpoint for alerts of these flags. What it needs is loaded with the first request.
 *
 * @throws ConfigError that lists everything that is wrong with the options.
 */
export function alertsHandler(targets: () => readonly AlertTarget[], options: AlertsOptions): AlertsHandler {
  const resolved = resolveAlertsOptions(options);
  let loading: Promise<AlertsServer> | undefined;
  const load = async () => {
    const { AlertsServer } = await import('./alerts-server.js');
    return new AlertsServer(targets, resolved);
  };
  return (request, response) => {
    loading ??= load();
    loading.then(
      (server) => server.handle(request, response),
      () => response.destroy(),
    );
  };
}
