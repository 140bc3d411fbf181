import { DeadlineError, withDeadline } from './deadline.js';

/** A request; redirects are never followed, because a redirected POST would arrive as a GET. */
interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** A whole answer. */
export interface HttpAnswer {
  /** A status of 200–299. */
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** No answer came. The message is a code such as `ECONNREFUSED`, or a time-out; it quotes nothing of the request. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly code = 'NO_ANSWER';
}

/**
 * Sends a request and waits for the whole answer, no longer than the time-out and the caller's signal allow.
 *
 * @throws {@link NoAnswerError}, or the signal's reason.
 */
export async function exchange(
  fetch: typeof globalThis.fetch,
  request: HttpRequest,
  timeoutMs: number,
  signal?: AbortSignal | undefined,
): Promise<HttpAnswer> {
  try {
    return await withDeadline(timeoutMs, signal, async (signal) => {
      const { url, method, headers, body = null } = request;
      const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
      const { ok, status } = response;
      return { ok, status, headers: response.headers, body: await response.text() };
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new NoAnswerError(error instanceof DeadlineError ? error.message : networkCode(error));
  }
}

/** A code such as `ECONNREFUSED`. Messages are not passed on: they may quote headers and addresses. */
function networkCode(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  return cause === undefined || cause === error ? 'network error' : networkCode(cause);
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110, 10.2.3); undefined when absent or unreadable. */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
