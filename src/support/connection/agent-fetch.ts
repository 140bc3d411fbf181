import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';

/** Statuses whose answers have no body. */
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/**
 * A `fetch` over an agent of `node:http`, for what this package sends: a method, headers, a body of text and a signal. The
 * global `fetch` of Node 20 knows neither agents nor proxies. Redirects are not followed, and nothing is decompressed:
 * none is asked for.
 */
export function agentFetch(url: URL, init: RequestInit, agent: Agent): Promise<Response> {
  const { method = 'GET', body, signal } = init;
  const headers = { 'accept-encoding': 'identity', accept: '*/*', 'user-agent': 'unleash-rollout-guard' };
  const all = new Headers(headers);
  new Headers(init.headers).forEach((value, name) => {
    all.set(name, value);
  });
  const content = body === undefined || body === null ? undefined : Buffer.from(String(body));
  if (content !== undefined) all.set('content-length', String(content.byteLength));
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const options = { method, headers: Object.fromEntries(all), agent, ...(signal && { signal }) };
    const request = send(url, options, (answer) => resolve(responseOf(answer)));
    request.on('error', reject);
    request.end(content);
  });
}

function responseOf(answer: IncomingMessage): Response {
  const status = answer.statusCode ?? 0;
  const headers = new Headers();
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2)
    headers.append(answer.rawHeaders[i]!, answer.rawHeaders[i + 1]!);
  const hasBody = !WITHOUT_BODY.includes(status);
  if (!hasBody) answer.resume();
  const body = hasBody ? (Readable.toWeb(answer) as ReadableStream) : null;
  return new Response(body, { status, headers });
}
