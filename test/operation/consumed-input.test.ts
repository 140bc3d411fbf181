import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { areConsumed, isConsumedInputError, unreadSources } from '../../src/operation/consumed-input.js';
import type { OperationOptions } from '../../src/operation/guarded-operation.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { processorMs } from '../helpers/machine-time.js';

const reset = () => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
const user = { targetingKey: 'user-1' };

async function* generated() {
  yield 'file';
}

describe('unreadSources', () => {
  const fresh: readonly (readonly [string, () => object])[] = [
    ['a stream', () => Readable.from(['file'])],
    ['a web stream', () => new Blob(['file']).stream()],
    ['a response', () => new Response('file')],
    ['a request', () => new Request('http://upload.test', { method: 'POST', body: 'file' })],
    ['a generator', () => generated()],
  ];

  it.each(fresh)('finds %s, itself and within an input', (_, make) => {
    for (const wrap of [(s: object) => s, (s: object) => ({ name: 'a', s }), (s: object) => [{ s }]]) {
      const source = make();
      expect(unreadSources(wrap(source))).toEqual([source]);
    }
  });

  it.each([
    ['text', 'file'],
    ['nothing', undefined],
    ['null', null],
    ['bytes', Buffer.from('file')],
    ['a file in memory', new Blob(['file'])],
    ['a plain object', { a: 1, b: { c: [1, 2, 3] } }],
    [
      'an object whose properties cannot be read',
      new Proxy(
        { a: 1 },
        {
          ownKeys: () => {
            throw new Error('no');
          },
        },
      ),
    ],
    ['a stream that had been read before', Readable.from([]).resume().destroy()],
  ])('finds nothing in %s', (_, input) => {
    expect(unreadSources(input)).toEqual([]);
  });

  it('stays fast on a large document', async () => {
    const document = Object.fromEntries(
      Array.from({ length: 100 }, (_, row) => [row, Array(10_000).fill({ row })]),
    );
    const usedMs = await processorMs(() => {
      for (let call = 0; call < 100; call++) unreadSources(document);
    });
    expect(usedMs).toBeLessThan(1_000);
  });
});

describe('areConsumed', () => {
  it.each([
    ['a stream that was read', async (source: Readable) => text(source)],
    [
      'a stream that was read in part',
      async (source: Readable) => {
        for await (const _ of source) break;
      },
    ],
    ['a stream that was destroyed', async (source: Readable) => source.destroy()],
  ])('is true for %s', async (_, use) => {
    const source = Readable.from(['a', 'b']);
    const sources = unreadSources({ source });
    expect(areConsumed(sources)).toBe(false);
    await use(source);
    expect(areConsumed(sources)).toBe(true);
  });

  it('is true for a web stream that somebody reads, and for a body that was used', async () => {
    const stream = new Blob(['file']).stream();
    const body = new Response('file');
    const sources = [unreadSources(stream), unreadSources(body)];
    stream.getReader();
    await body.text();
    expect(sources.map(areConsumed)).toEqual([true, true]);
  });
});

describe('an operation on a file', () => {
  let harness: GuardHarness;
  let file: string;
  /** What each call of the control stored. */
  let stored: string[];

  beforeEach(async () => {
    harness = await GuardHarness.create();
    file = join(await mkdtemp(join(tmpdir(), 'upload-')), 'file');
    await writeFile(file, 'x'.repeat(100_000));
    stored = [];
  });

  afterEach(async () => {
    await harness.close();
    await rm(join(file, '..'), { recursive: true });
  });

  const store = async (source: Readable) => {
    stored.push(await text(source));
    return 'stored';
  };
  const failHalfway = (source: Readable) =>
    pipeline(source, async (parts) => {
      for await (const _ of parts) throw reset();
      return '';
    });

  async function operation(options: Partial<OperationOptions<Readable, string>>) {
    const guard = await harness.started({ operation: { retryDelayMs: 1 } });
    const upload = guard.operation<Readable, string>({ treatment: failHalfway, control: store, ...options });
    return { guard, upload };
  }

  it('fails clearly when the treatment had read the stream, and neither retries it nor stores an empty file', async () => {
    let attempts = 0;
    const { guard, upload } = await operation({
      treatment: (source) => {
        attempts++;
        return failHalfway(source);
      },
    });
    const error = await upload(user, createReadStream(file)).catch((caught: unknown) => caught);
    expect(isConsumedInputError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'INPUT_CONSUMED', cause: { code: 'ECONNRESET' } });
    expect(String(error)).toContain('`input`');
    expect(attempts).toBe(1);
    expect(stored).toEqual([]);
    expect(guard.status().snapshot.total.treatment).toMatchObject({ failures: 1, fallbacks: 0 });
    expect(harness.reported('fault')).toMatchObject([{ what: 'the fallback' }]);
  });

  it('retries and falls back when the treatment failed before it read the stream', async () => {
    let attempts = 0;
    const { upload } = await operation({
      treatment: async () => {
        attempts++;
        throw reset();
      },
    });
    expect(await upload(user, createReadStream(file))).toBe('stored');
    expect(attempts).toBe(3);
    expect(stored.map(({ length }) => length)).toEqual([100_000]);
  });

  it('does not retry a control that had read the stream, and throws its own error', async () => {
    harness.flags.change({ enabled: false });
    const { upload } = await operation({ control: failHalfway });
    await expect(upload(user, createReadStream(file))).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('falls back as before for a stream that had been read before the call', async () => {
    const source = createReadStream(file).resume();
    await once(source, 'close');
    const { upload } = await operation({ treatment: () => Promise.reject(reset()), control: () => 'old' });
    expect(await upload(user, source)).toBe('old');
  });

  it('retries and falls back with an input that is made anew for each attempt', async () => {
    const guard = await harness.started({ operation: { retryDelayMs: 1 } });
    let made = 0;
    const upload = guard.operation({
      input: async (path: string) => {
        made++;
        return createReadStream(path);
      },
      treatment: failHalfway,
      control: store,
      attributes: (path) => ({ path }),
    });
    expect(await upload(user, file)).toBe('stored');
    expect(made).toBe(4);
    expect(stored.map(({ length }) => length)).toEqual([100_000]);
  });

  it('takes an input that cannot be made for an error of the arm', async () => {
    const guard = await harness.started({ operation: { retries: 0 } });
    const upload = guard.operation({
      input: (_path: string): string => {
        throw new Error('no such file');
      },
      treatment: () => 'new',
      control: () => 'old',
    });
    await expect(upload(user, file)).rejects.toThrow('no such file');
    expect(guard.status().snapshot.total.treatment).toMatchObject({ failures: 1, fallbacks: 1 });
  });
});
