import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that passed through, and what the server answered. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
}

/** An HTTP proxy in front of a server that keeps what passes. */
export interface RecordingProxy {
  readonly url: string;
  readonly passed: readonly Passed[];
  close(): Promise<void>;
}

export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const passed: Passed[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const body = Buffer.concat(chunks).toString();
    const { method = 'GET', url: path = '/', headers } = request;
    const answer = await fetch(target + path, {
      method,
      headers: {
        authorization: headers.authorization ?? '',
        'content-type': headers['content-type'] ?? 'application/json',
      },
      body: body === '' ? null : body,
    });
    const type = answer.headers.get('content-type') ?? 'application/json';
    const text = await answer.text();
    passed.push({ method, path, body, status: answer.status });
    response.writeHead(answer.status, { 'content-type': type }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
