import { createReadStream } from 'node:fs';
import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { errorTypeOf, isCriticalError, isRetryableError } from '../../src/operation/error-type.js';

function withCode(code: unknown, message = 'secret message of a user'): Error {
  return Object.assign(new Error(message), { code });
}

function withStatus(status: number): Error {
  return Object.assign(new Error('answered'), { status });
}

class UploadError extends Error {}
class QuotaError extends UploadError {
  override readonly name = 'QuotaError';
}

const circular = new Error('around');
circular.cause = circular;

function refuse(): never {
  throw new Error('no reading');
}

const hostile = new Proxy(new Error('x'), { get: refuse, getPrototypeOf: refuse });

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('did not reject');
}

/** A loopback port where nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** As grpc-js makes it. */
function grpc(code: number): Error {
  return Object.assign(withCode(code, `${code} NAME: secret`), { details: 'secret', metadata: new Map() });
}

class ConnectError extends Error {}
class MongoServerError extends Error {}
const connectError = (code: number) =>
  Object.assign(new ConnectError('m'), { code, metadata: new Headers() });
const mongoError = (code: number) => Object.assign(new MongoServerError('m'), { code });

function axiosError(status: number): Error {
  const code = status < 500 ? 'ERR_BAD_REQUEST' : 'ERR_BAD_RESPONSE';
  return Object.assign(withCode(code), { status, response: { status } });
}

describe('errorTypeOf', () => {
  it.each([
    ['a code', withCode('ECONNRESET'), 'ECONNRESET'],
    ['a class that sets no name', new UploadError('m'), 'UploadError'],
    ['a class that sets its name', new QuotaError('m'), 'QuotaError'],
    ['a bare error', new Error('m'), 'Error'],
    ['a bare TypeError', new TypeError('m'), 'TypeError'],
    ['a RangeError', new RangeError('m'), 'RangeError'],
    ['a platform timeout', new DOMException('m', 'TimeoutError'), 'TimeoutError'],
    ['the cause of a generic error', new TypeError('fetch failed', { cause: withCode('EPIPE') }), 'EPIPE'],
    [
      'a cause two levels down',
      new Error('a', { cause: new Error('b', { cause: new QuotaError() }) }),
      'QuotaError',
    ],
    ['a specific class before its cause', new UploadError('m', { cause: withCode('EPIPE') }), 'UploadError'],
    ['a part of an AggregateError', new AggregateError([new Error('m'), withCode('ENETDOWN')]), 'ENETDOWN'],
    ['a status when nothing else is known', withStatus(503), 'HTTP_503'],
    ['a class before a status', Object.assign(new UploadError('m'), { status: 503 }), 'UploadError'],
    ['a code that is a message', withCode('user bob@example.com failed'), 'Error'],
    ['a name that is a message', Object.assign(new Error('m'), { name: 'Bob was here' }), 'Error'],
    ['an endless code', withCode('E'.repeat(65)), 'Error'],
    ['a numeric code of something else', withCode(11_000), 'Error'],
    ['a code of gRPC', grpc(14), 'GRPC_UNAVAILABLE'],
    ['the first code of gRPC', grpc(1), 'GRPC_CANCELLED'],
    ['the last code of gRPC', grpc(16), 'GRPC_UNAUTHENTICATED'],
    ["gRPC's code for success", grpc(0), 'Error'],
    ['a code of gRPC in a cause', new Error('upload failed', { cause: grpc(4) }), 'GRPC_DEADLINE_EXCEEDED'],
    ["a code of gRPC in a library's class", connectError(8), 'GRPC_RESOURCE_EXHAUSTED'],
    ['a bare code of gRPC', withCode(3), 'GRPC_INVALID_ARGUMENT'],
    ['a number that is a code of gRPC in a database', mongoError(14), 'MongoServerError'],
    ['a process that exited with 14', Object.assign(withCode(14), { cmd: 'convert' }), 'Error'],
    ['a process that exited with 137', Object.assign(withCode(137), { cmd: 'convert' }), 'Error'],
    ['a platform error with a numeric code', new DOMException('m', 'NotFoundError'), 'NotFoundError'],
    ['a status as the code', withCode(503), 'HTTP_503'],
    ['the status of an answer that a client calls bad', axiosError(429), 'HTTP_429'],
    ['a client that got no answer', withCode('ERR_BAD_RESPONSE'), 'ERR_BAD_RESPONSE'],
    ['a plain object with a code', { code: 'E_PLAIN' }, 'E_PLAIN'],
    ['a plain object', { message: 'm' }, 'NonError'],
    ['a thrown string', 'secret message of a user', 'NonError'],
    ['undefined', undefined, 'NonError'],
    ['null', null, 'NonError'],
    ['an object without prototype', Object.create(null), 'NonError'],
    ['a circular cause', circular, 'Error'],
    ['an error that cannot be read', hostile, 'NonError'],
  ])('gives $2 for %s', (_, error, expected) => {
    expect(errorTypeOf(error)).toBe(expected);
  });

  it('follows a chain of causes to a limit', () => {
    let error: Error = new QuotaError('deepest');
    for (let depth = 0; depth < 10_000; depth++) error = new Error('outer', { cause: error });
    expect(errorTypeOf(error)).toBe('Error');
  });

  it('names real errors of the platform', async () => {
    const port = await closedPort();
    expect(errorTypeOf(await rejectionOf(fetch(`http://127.0.0.1:${port}/`)))).toBe('ECONNREFUSED');
    const refused = await new Promise((resolve) => connect(port, '127.0.0.1').on('error', resolve));
    expect(errorTypeOf(refused)).toBe('ECONNREFUSED');
    const missing = await new Promise((resolve) => createReadStream('/no/such/file').on('error', resolve));
    expect(errorTypeOf(missing)).toBe('ENOENT');
  });
});

describe('isCriticalError', () => {
  it.each(['ENOMEM', 'ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'ERR_WORKER_OUT_OF_MEMORY'])(
    'counts %s as critical',
    (code) => {
      expect(isCriticalError(withCode(code))).toBe(true);
      expect(isCriticalError(new UploadError('m', { cause: withCode(code) }))).toBe(true);
      expect(isCriticalError(new AggregateError([new Error('m'), withCode(code)]))).toBe(true);
    },
  );

  it('counts the error of a real allocation that fails as critical', () => {
    let error: unknown;
    try {
      new ArrayBuffer(Number.MAX_SAFE_INTEGER);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(RangeError);
    expect(isCriticalError(error)).toBe(true);
  });

  it.each([
    ['a broken connection', withCode('ECONNRESET')],
    ['a missing file', withCode('ENOENT')],
    ['one oversized string', new RangeError('Invalid string length')],
    ['a message about memory in another class', new Error('Array buffer allocation failed')],
    ['a thrown string', 'ENOMEM'],
    ['nothing', undefined],
    ['an error that cannot be read', hostile],
  ])('does not count %s as critical', (_, error) => {
    expect(isCriticalError(error)).toBe(false);
    expect(isCriticalError(error, new Set(['E_OTHER']))).toBe(false);
  });

  it.each([
    ['a code', 'E_CORRUPT', withCode('E_CORRUPT')],
    ['a class', 'QuotaError', new QuotaError('m')],
    ['the class of a cause', 'QuotaError', new Error('m', { cause: new QuotaError('m') })],
    ['a base class', 'UploadError', new QuotaError('m')],
    ['a status of gRPC', 'GRPC_DATA_LOSS', grpc(15)],
    ['an HTTP status', 'HTTP_507', withStatus(507)],
  ])('counts %s as critical, because the user names it', (_, name, error) => {
    expect(isCriticalError(error)).toBe(false);
    expect(isCriticalError(error, new Set([name]))).toBe(true);
    expect(isCriticalError(new TypeError('m'), new Set([name]))).toBe(false);
  });
});

describe('isRetryableError', () => {
  it.each([
    ['a reset connection', withCode('ECONNRESET'), true],
    ['an answer that was cut off', withCode('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), true],
    [
      'fetch with a reset connection',
      new TypeError('fetch failed', { cause: withCode('UND_ERR_SOCKET') }),
      true,
    ],
    ['a timeout of the platform', new DOMException('m', 'TimeoutError'), true],
    ['status 408', withStatus(408), true],
    ['status 429', withStatus(429), true],
    ['status 500', withStatus(500), true],
    ['status 503 in a response', Object.assign(new Error('m'), { response: { status: 503 } }), true],
    ['status 501', withStatus(501), false],
    ['status 505', withStatus(505), false],
    ['status 400', withStatus(400), false],
    ['status 404', Object.assign(new Error('m'), { statusCode: 404 }), false],
    ['status 409 caused by a reset', Object.assign(withCode('ECONNRESET'), { status: 409 }), false],
    ['an abort', new DOMException('m', 'AbortError'), false],
    [
      'an abort caused by a timeout',
      new DOMException('m', { name: 'AbortError', cause: withCode('ETIMEDOUT') }),
      false,
    ],
    ['a bare code 14', withCode(14), true],
    ["a database's code 14", mongoError(14), false],
    ['a status 503 as the code', withCode(503), true],
    ['a status 400 as the code', withCode(400), false],
    ['an answer 503 that a client calls bad', axiosError(503), true],
    ['an answer 400 that a client calls bad', axiosError(400), false],
    ['a missing file', withCode('ENOENT'), false],
    ['an unknown host', withCode('ENOTFOUND'), false],
    ['a mistake in the code', new TypeError('x is not a function'), false],
    ['no disk space', withCode('ENOSPC'), false],
    [
      'a timeout for want of memory',
      new DOMException('m', { name: 'TimeoutError', cause: withCode('ENOMEM') }),
      false,
    ],
    ['a thrown string', 'timeout', false],
    ['undefined', undefined, false],
    ['an error that cannot be read', hostile, false],
  ])('is $2 for %s', (_, error, expected) => {
    expect(isRetryableError(error)).toBe(expected);
  });

  it.each(Array.from({ length: 16 }, (_, index) => index + 1))(
    'retries code %i of gRPC if that can help',
    (code) => {
      expect(isRetryableError(grpc(code))).toBe([4, 8, 14].includes(code));
      expect(isRetryableError(new Error('upload failed', { cause: grpc(code) }))).toBe(
        [4, 8, 14].includes(code),
      );
    },
  );

  it('retries a real refused connection', async () => {
    const error = await rejectionOf(fetch(`http://127.0.0.1:${await closedPort()}/`));
    expect(isRetryableError(error)).toBe(true);
  });
});
