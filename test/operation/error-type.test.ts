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
    ['a numeric code', withCode(14), 'Error'],
    ['a plain object with a code', { code: 'E_PLAIN' }, 'E_PLAIN'],
    ['a plain object', { message: 'm' }, 'NonError'],
    ['a thrown string', 'secret message of a user', 'NonError'],
    ['undefined', undefined, 'NonError'],
    ['null', null, 'NonError'],
    ['an object without prototype', Object.create(null), 'NonError'],
    ['a circular cause', circular, 'Error'],
    ['an error that cannot be read', hostile, 'NonError'],
  ])('names %s', (_, error, expected) => {
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
    'knows %s',
    (code) => {
      expect(isCriticalError(withCode(code))).toBe(true);
      expect(isCriticalError(new UploadError('m', { cause: withCode(code) }))).toBe(true);
      expect(isCriticalError(new AggregateError([new Error('m'), withCode(code)]))).toBe(true);
    },
  );

  it('recognizes the error of a real allocation that fails', () => {
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
  ])('does not count %s', (_, error) => {
    expect(isCriticalError(error)).toBe(false);
    expect(isCriticalError(error, new Set(['E_OTHER']))).toBe(false);
  });

  it.each([
    ['a code', 'E_CORRUPT', withCode('E_CORRUPT')],
    ['a class', 'QuotaError', new QuotaError('m')],
    ['the class of a cause', 'QuotaError', new Error('m', { cause: new QuotaError('m') })],
    ['a base class', 'UploadError', new QuotaError('m')],
  ])('counts what the user names: %s', (_, name, error) => {
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
  ])('answers for %s', (_, error, expected) => {
    expect(isRetryableError(error)).toBe(expected);
  });

  it('retries a real refused connection', async () => {
    const error = await rejectionOf(fetch(`http://127.0.0.1:${await closedPort()}/`));
    expect(isRetryableError(error)).toBe(true);
  });
});
