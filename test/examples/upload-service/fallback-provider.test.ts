import { Agent } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFallbackProvider } from '../../../examples/upload-service/fallback-provider.js';
import {
  type FileProvider,
  FileProviderError,
  type OutgoingFile,
  type SendOptions,
} from '../../../examples/upload-service/file-provider.js';
import { UploadError } from '../../../examples/upload-service/upload-error.js';

let connections: Agent;
beforeAll(() => {
  connections = new Agent();
});
afterAll(() => connections.close());

const file: OutgoingFile = {
  name: 'a.txt',
  contentType: 'text/plain',
  content: async function* () {
    yield Buffer.from('hel');
    yield Buffer.from('lo');
  },
};
const options = (signal = new AbortController().signal): SendOptions => ({ connections, signal });
const stored = { id: 'f', fileName: 'a.txt', sizeBytes: 5, createdAt: 0 };
const refusal = new FileProviderError('PROVIDER_HTTP_503', 'down', 503);

/** A provider that reads some chunks of each file, and then runs `then`. */
function provider(
  name: string,
  then: (signal: AbortSignal) => Promise<void> | void,
  chunks = Number.POSITIVE_INFINITY,
) {
  const read: string[] = [];
  const send: FileProvider['send'] = async ({ content }, { signal }) => {
    let text = '';
    let left = chunks;
    for await (const chunk of content instanceof Uint8Array ? [content] : content()) {
      if (left-- <= 0) break;
      text += Buffer.from(chunk).toString();
    }
    read.push(text);
    await then(signal);
    return { ...stored, provider: name };
  };
  return { name, read, send };
}
const works = () => {};
const fails = () => {
  throw refusal;
};

describe('a fallback provider', () => {
  it('leaves the second alone while the first works', async () => {
    const [first, second] = [provider('first', works), provider('second', works)];
    const sent = await createFallbackProvider(first, second).send(file, options());
    expect(sent.provider).toBe('first');
    expect(second.read).toEqual([]);
  });

  it('sends the whole file to the second when the first fails half-way, and reports why', async () => {
    const [first, second] = [provider('first', fails, 1), provider('second', works)];
    const reported: unknown[] = [];
    const both = createFallbackProvider(first, second, { onFallback: (error) => reported.push(error) });
    expect((await both.send(file, options())).provider).toBe('second');
    expect([first.read, second.read]).toEqual([['hel'], ['hello']]);
    expect(reported).toEqual([refusal]);
  });

  it('aborts a first provider that stalls, in time for the second', async () => {
    const stalls = (signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const [first, second] = [provider('first', stalls), provider('second', works)];
    const both = createFallbackProvider(first, second, { firstTimeoutMs: 20 });
    expect((await both.send(file, options())).provider).toBe('second');
  });

  it('fails with the error of the second, caused by that of the first', async () => {
    const both = createFallbackProvider(
      provider('first', fails),
      provider('second', () => {
        throw new FileProviderError('PROVIDER_HTTP_401', 'who?', 401);
      }),
    );
    await expect(both.send(file, options())).rejects.toMatchObject({ statusCode: 401, cause: refusal });
  });

  it.each([
    ['the user has gone', new Error('gone'), true],
    ['the file cannot be read', new UploadError('UPLOAD_INCOMPLETE', 400, 'half'), false],
  ])('does not try the second when %s', async (_why, error, aborts) => {
    const controller = new AbortController();
    const first = provider('first', () => {
      if (aborts) controller.abort(error);
      throw error;
    });
    const second = provider('second', works);
    await expect(createFallbackProvider(first, second).send(file, options(controller.signal))).rejects.toBe(
      error,
    );
    expect(second.read).toEqual([]);
  });
});
