import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GuardFigures } from '../model/observer.js';
import { PROMETHEUS_TYPE, prometheusTextOf } from './prometheus-text.js';

/** Replies to a scrape. Express, Fastify, Hono and plain `node:http` can call it. */
export type MetricsHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The handler that shows these guards as they are at each scrape. */
export function metricsHandler(guards: () => readonly { readonly figures: GuardFigures }[]): MetricsHandler {
  return ({ method }, response) => {
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    prometheusTextOf(guards()).then(
      (body) => {
        response.writeHead(200, {
          'content-type': PROMETHEUS_TYPE,
          'content-length': Buffer.byteLength(body),
          'cache-control': 'no-store',
        });
        response.end(method === 'HEAD' ? undefined : body);
      },
      () => response.writeHead(500).end(),
    );
  };
}
