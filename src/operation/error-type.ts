import { errorChain, errorCode, errorName, errorStatus, hasClassNamed, property } from './error-chain.js';

/** Classes that say nothing about what failed: the cause says more. */
const GENERIC_NAMES: ReadonlySet<string> = new Set(['Error', 'TypeError', 'AggregateError', 'DOMException']);

/**
 * Names an error for counting: its code (`ECONNRESET`), else its class (`TimeoutError`). Never its message, which may
 * hold anything, users' data included. The outermost error that says something specific names the whole: `fetch`'s
 * `TypeError: fetch failed` is named by its cause. An HTTP status names an error that has nothing better (`HTTP_503`).
 *
 * @returns At most 64 characters without spaces; `NonError` for a thrown string, number, null or the like.
 */
export function errorTypeOf(error: unknown): string {
  const chain = errorChain(error);
  for (const link of chain) {
    const code = errorCode(link);
    if (code !== undefined) return code;
    const name = errorName(link);
    if (name !== undefined && !GENERIC_NAMES.has(name)) return name;
    const status = errorStatus(link);
    if (status !== undefined) return `HTTP_${status}`;
  }
  const outermost = chain[0];
  return outermost === undefined ? 'NonError' : (errorName(outermost) ?? 'NonError');
}

const CRITICAL_CODES: ReadonlySet<string> = new Set([
  'ENOMEM',
  'ERR_MEMORY_ALLOCATION_FAILED',
  'ERR_WORKER_OUT_OF_MEMORY',
  'ENOSPC',
  'EDQUOT',
  'EMFILE',
  'ENFILE',
]);

/** V8 gives these no code. `Invalid string length` is not among them: one oversized value, memory is not short. */
const OUT_OF_MEMORY = /allocation failed|could not allocate memory/i;

/**
 * Whether an error, or one of its causes, puts the process itself in doubt: out of memory (`ENOMEM`,
 * `ERR_MEMORY_ALLOCATION_FAILED`, `ERR_WORKER_OUT_OF_MEMORY`, V8's `RangeError: Array buffer allocation failed`), out
 * of disk (`ENOSPC`, `EDQUOT`) or out of file handles (`EMFILE`, `ENFILE`).
 *
 * @param alsoCritical - Further codes, or names of classes; a subclass of a named class counts.
 */
export function isCriticalError(error: unknown, alsoCritical?: ReadonlySet<string>): boolean {
  return errorChain(error).some((link) => {
    const code = errorCode(link);
    if (code !== undefined && (CRITICAL_CODES.has(code) || alsoCritical?.has(code))) return true;
    if (alsoCritical !== undefined && hasClassNamed(link, alsoCritical)) return true;
    const message = property(link, 'message');
    return errorName(link) === 'RangeError' && typeof message === 'string' && OUT_OF_MEMORY.test(message);
  });
}

/**
 * Connections that broke or were never made, of Node's sockets, of undici (`fetch`) and of axios. A host name that
 * does not exist (`ENOTFOUND`) is not among them: it is a wrong setting far more often than a passing fault.
 */
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'ERR_NETWORK',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_HTTP2_STREAM_CANCEL',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', // The connection broke in the middle of the answer.
]);

/**
 * Whether a retry may help: the default of `operation({ isRetryable })`.
 *
 * The outermost error that says something specific decides. An HTTP status outranks everything else that the same error says: 408,
 * 425, 429 and every 5xx but 501 and 505 are retried, all others are not. Then codes of broken connections,
 * and time-outs (classes named `TimeoutError` or `…TimeoutError`). An abort never is, nor is a critical error, which
 * another attempt would make worse, nor an error that says nothing: it may be the user's own mistake.
 */
export function isRetryableError(error: unknown): boolean {
  if (isCriticalError(error)) return false;
  for (const link of errorChain(error)) {
    const status = errorStatus(link);
    if (status !== undefined) return isRetryableStatus(status);
    const name = errorName(link);
    if (name === 'AbortError') return false;
    const code = errorCode(link);
    if (code !== undefined && RETRYABLE_CODES.has(code)) return true;
    if (name?.endsWith('TimeoutError')) return true;
  }
  return false;
}

function isRetryableStatus(status: number): boolean {
  if (status === 408 || status === 425 || status === 429) return true;
  return status >= 500 && status !== 501 && status !== 505;
}
