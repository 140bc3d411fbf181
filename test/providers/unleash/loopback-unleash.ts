import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What `GET /api/client/features` (or `/delta`) answers: a status, or the state with 200. */
export type Answer = number | object | 'never';

/** A server on loopback with the part of Unleash's client API that a server-side SDK uses. */
export interface LoopbackUnleash extends AsyncDisposable {
  readonly url: string;
  /** What the next polls get. */
  answer: Answer;
  /** Answers a request in place of the rest, when it returns true. */
  handler: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** What the metrics endpoint does. */
  metrics: 'accept' | 'never';
  readonly polls: { readonly authorization: string | undefined }[];
  /** Bodies of the usage metrics that were sent. */
  readonly sentMetrics: {
    readonly bucket: { readonly toggles: Record<string, { yes: number; no: number }> };
  }[];
}

/** @param port - 0 for any that is free. */
export async function startLoopbackUnleash(answer: Answer, port = 0): Promise<LoopbackUnleash> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (unleash.handler?.(request, response)) return;
      if (request.url?.endsWith('/client/metrics')) {
        unleash.sentMetrics.push(JSON.parse(Buffer.concat(chunks).toString()));
        if (unleash.metrics === 'accept') response.writeHead(202).end();
        return;
      }
      if (request.url?.endsWith('/client/register')) {
        response.writeHead(202).end();
        return;
      }
      unleash.polls.push({ authorization: request.headers.authorization });
      poll(unleash.answer, request.headers['if-none-match'], response);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const unleash: LoopbackUnleash = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    answer,
    handler: undefined,
    metrics: 'accept',
    polls: [],
    sentMetrics: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return unleash;
}

function poll(answer: Answer, ifNoneMatch: string | undefined, response: ServerResponse): void {
  if (answer === 'never') return;
  if (typeof answer === 'number') {
    response.writeHead(answer).end();
    return;
  }
  const body = JSON.stringify(answer);
  const etag = `"${createHash('sha256').update(body).digest('hex')}"`;
  if (etag === ifNoneMatch) response.writeHead(304, { etag }).end();
  else response.writeHead(200, { 'content-type': 'application/json', etag }).end(body);
}
