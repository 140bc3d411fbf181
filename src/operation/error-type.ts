/** Codes of HTTP clients for any answer that is an error. */
const ANSWER_CODES: ReadonlySet<string> = new Set([
  'ERR_BAD_REQUEST',
  'ERR_BAD_RESPONSE',
  'ERR_NON_2XX_3XX_RESPONSE',
  'UND_ERR_RESPONSE',
  'UND_ERR_RESPONSE_STATUS_CODE',
]);

/** Classes too general to count by: the cause is more specific. */
const GENERIC_NAMES: ReadonlySet<string> = new Set(['Error', 'TypeError', 'AggregateError', 'DOMException']);

/**
 * Names an error for counting: its code (`ECONNRESET`), else its class (`TimeoutError`). Never its message, which may
 * contain anything, users' data included. The outermost error with a code or a specific class names the whole: `fetch`'s
 * `TypeError: fetch failed` is named by its cause. A code of gRPC has its name there (`GRPC_UNAVAILABLE` for 14). An HTTP status
 * names an error that has neither code nor class (`HTTP_503`), or only one that says that there was an error answer.
 *
 * @returns At most 64 characters without spaces; `NonError` for a thrown string, number, null or the like.
 */
export function errorTypeOf(error: unknown): string {
  const chain = errorChain(error);
  for (const link of chain) {
    const type = ownTypeOf(link);
    if (type !== undefined) return type;
  }
  const outermost = chain[0];
  return outermost === undefined ? 'NonError' : (errorName(outermost) ?? 'NonError');
}

/** The type of one error without its causes; undefined when nothing about it is specific. */
function ownTypeOf(error: object): string | undefined {
  const grpc = grpcStatus(error);
  if (grpc !== undefined) return `GRPC_${grpc}`;
  const status = errorStatus(error);
  const code = errorCode(error);
  if (code !== undefined && !(status !== undefined && ANSWER_CODES.has(code))) return code;
  const name = errorName(error);
  if (name !== undefined && !GENERIC_NAMES.has(name)) return name;
  return status === undefined ? undefined : `HTTP_${status}`;
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
 * @param alsoCritical - Further error types, codes, or names of classes; a subclass of a named class counts.
 */
export function isCriticalError(error: unknown, alsoCritical?: ReadonlySet<string>): boolean {
  return errorChain(error).some((link) => {
    const code = errorCode(link);
    if (code !== undefined && (CRITICAL_CODES.has(code) || alsoCritical?.has(code))) return true;
    if (alsoCritical !== undefined && isNamed(link, alsoCritical)) return true;
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
 * The outermost error that has one of these decides. First its HTTP status: 408, 425, 429 and every 5xx but 501 and 505 are
 * retried, all others are not. So do gRPC's codes: `UNAVAILABLE`, `RESOURCE_EXHAUSTED` and `DEADLINE_EXCEEDED`, which are 503, 429
 * and 504 there, are retried. Then codes of broken connections, and time-outs (classes named `TimeoutError` or
 * `…TimeoutError`). An abort is never retried, nor is a critical error, which another attempt would make worse, nor an error
 * with none of these: it may be the user's own mistake.
 */
export function isRetryableError(error: unknown): boolean {
  if (isCriticalError(error)) return false;
  for (const link of errorChain(error)) {
    const grpc = grpcStatus(link);
    if (grpc !== undefined) return RETRYABLE_GRPC.has(grpc);
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

/** The status codes of gRPC by number, from 1 on: https://grpc.io/docs/guides/status-codes/ */
const GRPC_STATUSES = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

type GrpcStatus = (typeof GRPC_STATUSES)[number];

const RETRYABLE_GRPC: ReadonlySet<GrpcStatus> = new Set([
  'UNAVAILABLE',
  'RESOURCE_EXHAUSTED',
  'DEADLINE_EXCEEDED',
]);

/** Causes are followed so far and no further: chains can be long, or circular. */
const MAX_ERRORS = 8;

/**
 * The error and what caused it, outermost first: its `cause` before the parts of an `AggregateError`, at most eight
 * altogether. Anything may be thrown; what is not an object gives an empty chain.
 */
function errorChain(error: unknown): readonly object[] {
  const chain: object[] = [];
  const waiting: unknown[] = [error];
  while (waiting.length > 0 && chain.length < MAX_ERRORS) {
    const next = waiting.shift();
    if (typeof next !== 'object' || next === null || chain.includes(next)) continue;
    chain.push(next);
    const parts = property(next, 'errors');
    waiting.unshift(property(next, 'cause'), ...(Array.isArray(parts) ? parts.slice(0, MAX_ERRORS) : []));
  }
  return chain;
}

/** A property of a foreign object, whose getters and proxies may throw. */
function property(of: object, name: string): unknown {
  try {
    return (of as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/** Names and codes are identifiers; what contains a space or is longer may be a message. */
const IDENTIFIER = /^[A-Za-z_$][\w$.:-]{0,63}$/;

function identifier(value: unknown): string | undefined {
  return typeof value === 'string' && IDENTIFIER.test(value) ? value : undefined;
}

/** The error's own code, such as `ECONNRESET`. Most numbers mean something else in every library. */
function errorCode(error: object): string | undefined {
  return identifier(property(error, 'code'));
}

/** The error's class: its `name` where one was set, else the name of its constructor. */
function errorName(error: object): string | undefined {
  const name = identifier(property(error, 'name'));
  if (name !== undefined && name !== 'Error') return name;
  const type = property(error, 'constructor');
  const className = typeof type === 'function' ? identifier(property(type, 'name')) : undefined;
  // `Object` does not even mean that it is an error.
  return className === 'Object' ? name : (className ?? name);
}

/** Whether the error's type, its class, or one that it extends, has one of these names. */
function isNamed(error: object, names: ReadonlySet<string>): boolean {
  const own = [ownTypeOf(error), errorName(error)];
  if (own.some((name) => name !== undefined && names.has(name))) return true;
  try {
    let prototype: object | null = Object.getPrototypeOf(error);
    for (let depth = 0; depth < MAX_ERRORS && prototype !== null; depth++) {
      if (names.has(prototype.constructor.name)) return true;
      prototype = Object.getPrototypeOf(prototype);
    }
  } catch {
    // A proxy's traps may throw, and a prototype may lack a constructor: then it has no class name.
  }
  return false;
}

/**
 * The gRPC status of an error with its numeric code: of grpc-js and its relatives, which give details or metadata with it, or
 * of an error of no specific class. A process that exited with such a code, and a `DOMException`, are none.
 */
function grpcStatus(error: object): GrpcStatus | undefined {
  const code = property(error, 'code');
  const status = typeof code === 'number' ? GRPC_STATUSES[code - 1] : undefined;
  if (status === undefined) return undefined;
  const metadata = property(error, 'metadata');
  const isOfGrpc =
    typeof property(error, 'details') === 'string' || (typeof metadata === 'object' && metadata !== null);
  if (isOfGrpc) return status;
  const isOther = OTHER_CODES.some((name) => property(error, name) !== undefined);
  const name = errorName(error);
  return !isOther && (name === undefined || name === 'Error') ? status : undefined;
}

/** What errors of child processes and HTTP clients have beside a numeric code. */
const OTHER_CODES = ['cmd', 'killed', 'exitCode', 'path', 'syscall', 'status', 'statusCode', 'response'];

/** The HTTP status that an error carries, in any of the usual places. */
function errorStatus(error: object): number | undefined {
  const response = property(error, 'response') ?? property(error, '$metadata');
  const carriers = typeof response === 'object' && response !== null ? [error, response] : [error];
  for (const carrier of carriers) {
    for (const name of ['status', 'statusCode', 'httpStatusCode']) {
      const status = property(carrier, name);
      if (isStatus(status, 100)) return status;
    }
  }
  // Google's clients have it there; what is below 256 may be the exit code of a process.
  const code = property(error, 'code');
  return isStatus(code, 400) ? code : undefined;
}

function isStatus(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value < 600;
}
