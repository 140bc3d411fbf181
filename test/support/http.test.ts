import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { AnswerTooLargeError, exchange, MIB } from '../../src/support/connection/http.js';

let close: (() => void) | undefined;

afterEach(() => close?.());

/** A real server that replies to every request in one way. */
async function serve(reply: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_, response) => reply(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const get = (url: string, limits: { maxBytes?: number; mayCut?: boolean } = {}) =>
  exchange(fetch, { method: 'GET', url, headers: {}, ...limits }, 5_000);

/** Writes for as long as the client reads. @returns how many bytes were written. */
function endless(response: ServerResponse, status = 200): { written: number } {
  const progress = { written: 0 };
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const write = () => {
    while (!response.destroyed) {
      progress.written += chunk.length;
      if (!response.write(chunk)) return;
    }
  };
  response.statusCode = status;
  response.on('drain', write);
  write();
  return progress;
}

describe('exchange', () => {
  it('reads an answer up to the limit, with characters that are split between chunks', async () => {
    const text = 'äöü€'.repeat(1_000);
    const bytes = Buffer.from(text);
    const url = await serve((response) => {
      response.write(bytes.subarray(0, 4_001));
      setImmediate(() => response.end(bytes.subarray(4_001)));
    });
    expect(await get(url, { maxBytes: bytes.length })).toMatchObject({ ok: true, body: text });
  });

  it('refuses an answer whose announced length is above the limit, and names both', async () => {
    const url = await serve((response) => {
      response.setHeader('content-length', 400 * MIB);
      endless(response);
    });
    const call = get(url);
    await expect(call).rejects.toThrow(AnswerTooLargeError);
    await expect(call).rejects.toThrow(
      'the answer has 419,430,400 bytes, above the limit of 1,048,576 bytes',
    );
  });

  it('ends an endless answer soon after the limit', async () => {
    let progress = { written: 0 };
    const url = await serve((response) => {
      progress = endless(response);
    });
    await expect(get(url)).rejects.toThrow(
      /the answer has [\d,]+ bytes or more, above the limit of 1,048,576 bytes/,
    );
    expect(progress.written).toBeLessThan(16 * MIB);
  });

  it('counts the bytes after decompression', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MIB));
    const url = await serve((response) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb);
    });
    await expect(get(url)).rejects.toThrow(AnswerTooLargeError);
  });

  it('keeps the status of a long failure, and the beginning of its text', async () => {
    const url = await serve((response) => {
      endless(response, 503);
    });
    const answer = await get(url, { maxBytes: 100_000 });
    expect(answer).toMatchObject({ ok: false, status: 503, body: 'x'.repeat(100_000) });
  });

  it('cuts a long success where only its status matters', async () => {
    const url = await serve((response) => {
      endless(response);
    });
    expect(await get(url, { maxBytes: 10, mayCut: true })).toMatchObject({ ok: true, body: 'xxxxxxxxxx' });
  });
});
