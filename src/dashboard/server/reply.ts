import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ApiProblem } from '../api.js';

const compress = promisify(gzip);
/** Shorter replies are sent as they are. */
const MIN_COMPRESSED_BYTES = 2_048;

/** A request that is refused. Its message is for whoever reads the reply. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** Nothing of another origin, no inline script or style, and in no frame. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** The headers of every reply. */
export function secure(response: ServerResponse): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
}

/** Replies with JSON that no cache keeps. */
export async function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  value: unknown,
  status = 200,
): Promise<void> {
  const text = Buffer.from(`${JSON.stringify(value)}\n`);
  const isLong = text.length >= MIN_COMPRESSED_BYTES;
  const body = isLong && accepts(request, 'gzip') ? await compress(text) : text;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('vary', 'accept-encoding');
  if (body !== text) response.setHeader('content-encoding', 'gzip');
  send(request, response, body, status);
}

/** Replies with why the request was refused. */
export async function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  { status, message, headers }: Refusal,
): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  await sendJson(request, response, { message } satisfies ApiProblem, status);
}

/** Sends the body; to HEAD, what would be sent. */
export function send(request: IncomingMessage, response: ServerResponse, body: Buffer, status: number): void {
  response.writeHead(status, { 'content-length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Redirects to an address relative to the one that was asked for, whatever prefix a proxy has taken away. */
export function redirect(response: ServerResponse, location: string): void {
  response.setHeader('cache-control', 'no-store');
  response.writeHead(303, { location, 'content-length': 0 });
  response.end();
}

/** Whether the client accepts an encoding. */
export function accepts(request: IncomingMessage, encoding: 'br' | 'gzip'): boolean {
  const offered = String(request.headers['accept-encoding'] ?? '').split(',');
  return offered.some((each) => {
    const [name, quality] = each.split(';').map((part) => part.trim());
    return name === encoding && !/^q=0(\.0*)?$/.test(quality ?? '');
  });
}
