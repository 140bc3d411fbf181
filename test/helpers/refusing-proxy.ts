import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP proxy in front of Unleash that refuses the first requests to turn a flag off. */
export interface RefusingProxy {
  readonly url: string;
  /** How many requests it has refused. */
  readonly refused: number;
  close(): Promise<void>;
}

export async function startRefusingProxy(
  target: string,
  refusal: { readonly status: number; readonly times: number; readonly headers?: Record<string, string> },
): Promise<RefusingProxy> {
  let refused = 0;
  const server = createServer(async (request, response) => {
    if (request.url?.endsWith('/off') && refused < refusal.times) {
      refused++;
      response.writeHead(refusal.status, refusal.headers).end();
      return;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const answer = await fetch(target + request.url, {
      method: request.method ?? 'GET',
      headers: {
        authorization: request.headers.authorization ?? '',
        'content-type': request.headers['content-type'] ?? 'application/json',
      },
      body: chunks.length === 0 ? null : Buffer.concat(chunks),
    });
    const type = answer.headers.get('content-type') ?? 'application/json';
    response.writeHead(answer.status, { 'content-type': type }).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    get refused() {
      return refused;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
