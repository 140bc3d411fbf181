import { DeadlineError, withDeadline } from '../deadline.js';
import { parseJson } from '../json.js';
import { explainFailure } from './connection-advice.js';
import { ANSWERS_OF_PROXIES, ProxyError } from './proxy-agents.js';

/** A request; redirects are never followed, because a redirected POST would arrive as a GET. */
interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** The longest answer that is read, in bytes after decompression. @default 1 MiB */
  readonly maxBytes?: number | undefined;
  /** Whether the status alone matters: a longer answer is then cut instead of refused. @default false */
  readonly mayCut?: boolean | undefined;
}

/** A `fetch` that knows its proxies. */
export type ProxiedFetch = typeof globalThis.fetch & {
  /** The proxy on the way to an address, without user and password; undefined where there is none. */
  readonly proxyFor?: (url: URL) => string | undefined;
};

/** A whole answer. */
export interface HttpAnswer {
  /** A status of 200–299. */
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Headers;
  /** Cut at the limit when the answer is a failure, or its request allows that. */
  readonly body: string;
  /** The proxy of a request that a proxy can answer itself, without user and password. */
  readonly proxy?: string | undefined;
}

/** No answer came. The message is a code such as `ECONNREFUSED`, a phrase, or a time-out; it quotes nothing of the request. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly code = 'NO_ANSWER';

  /**
   * @param help - What an operator can do.
   * @param requiresAction - Whether it lasts until an operator acts.
   */
  constructor(
    message: string,
    readonly help?: string | undefined,
    readonly requiresAction = false,
  ) {
    super(message);
  }

  /** The help as a sentence that follows another one. */
  get helpAfter(): string {
    return this.help === undefined ? '' : ` ${this.help}`;
  }
}

/** An answer is longer than the limit. The message has both, and quotes nothing of the answer. */
export class AnswerTooLargeError extends Error {
  override readonly name = 'AnswerTooLargeError';
  readonly code = 'ANSWER_TOO_LARGE';
}

/** One mebibyte, in bytes. */
export const MIB = 1024 * 1024;

/**
 * Sends a request and waits for the whole answer, no longer than the time-out and the caller's signal allow.
 *
 * @throws {@link NoAnswerError}, {@link AnswerTooLargeError}, or the signal's reason.
 */
export async function exchange(
  fetch: ProxiedFetch,
  request: HttpRequest,
  timeoutMs: number,
  signal?: AbortSignal | undefined,
): Promise<HttpAnswer> {
  try {
    return await withDeadline(timeoutMs, signal, async (signal) => {
      const { url, method, headers, body = null, maxBytes = MIB, mayCut = false } = request;
      const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
      const { ok, status } = response;
      const text = await readText(response, maxBytes, mayCut || !ok);
      const { proxy } = response as { proxy?: string };
      return { ok, status, headers: response.headers, body: text, proxy };
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AnswerTooLargeError) throw error;
    if (error instanceof DeadlineError) {
      const proxy = fetch.proxyFor?.(new URL(request.url));
      throw new NoAnswerError(`${error.message}${proxy === undefined ? '' : `, through the proxy ${proxy}`}`);
    }
    throw noAnswer(error);
  }
}

/**
 * For a server that always replies with JSON: another answer that came through a proxy is the proxy's own.
 *
 * @throws {@link NoAnswerError}
 */
export function notOfProxy(answer: HttpAnswer): HttpAnswer {
  const { proxy, status, body } = answer;
  if (proxy === undefined || !ANSWERS_OF_PROXIES.includes(status) || parseJson(body) !== undefined)
    return answer;
  throw noAnswer(new ProxyError(proxy, status, false));
}

function noAnswer(error: unknown): NoAnswerError {
  const { reason, help, requiresAction } = explainFailure(error);
  return new NoAnswerError(reason, help, requiresAction);
}

/** Reads a body piece by piece, and no more of it than the limit. */
async function readText(response: Response, maxBytes: number, mayCut: boolean): Promise<string> {
  const { body, headers } = response;
  if (body === null) return '';
  // A `fetch` of the user's own may answer with text alone.
  if (body === undefined) return response.text();
  const announced = Number(headers.get('content-length') ?? Number.NaN);
  if (announced > maxBytes && !mayCut) {
    await body.cancel().catch(() => {});
    throw new AnswerTooLargeError(tooLarge(`has ${bytes(announced)}`, maxBytes));
  }
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  // Leaving the loop cancels the rest of the body.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length <= maxBytes) {
      text += decoder.decode(chunk, { stream: true });
      continue;
    }
    if (mayCut) return text + decoder.decode(chunk.subarray(0, chunk.byteLength - (length - maxBytes)));
    throw new AnswerTooLargeError(tooLarge(`has ${bytes(length)} or more`, maxBytes));
  }
  return text + decoder.decode();
}

function tooLarge(what: string, maxBytes: number): string {
  return `the answer ${what}, above the limit of ${bytes(maxBytes)}`;
}

function bytes(count: number): string {
  return `${count.toLocaleString('en')} bytes`;
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110, 10.2.3); undefined when absent or unreadable. */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
