import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROMETHEUS_TYPE } from './prometheus-text.js';

/** Replies to a scrape. Express, Fastify, Hono and plain `node:http` can call it. */
export type MetricsHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** The handler of a text that is made for each scrape. */
export function metricsHandler(text: () => string): MetricsHandler {
  return ({ method }, response) => {
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    const body = text();
    response.writeHead(200, {
      'content-type': PROMETHEUS_TYPE,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    });
    response.end(method === 'HEAD' ? undefined : body);
  };
}
