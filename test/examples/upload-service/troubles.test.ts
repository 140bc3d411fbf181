import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { eventually } from '../../helpers/eventually.js';
import { FILES, post, type Rig, type RigOptions, sha256, startRig } from './rig.js';

const streaming: RigOptions['upload'] = (paths) => (_context, file, call) =>
  paths.streaming.upload(file, call.signal);
const buffered: RigOptions['upload'] = (paths) => (_context, file, call) =>
  paths.buffered.upload(file, call.signal);
const streamingThenBuffered: RigOptions['upload'] = (paths) => (_context, file, call) =>
  paths.streaming.upload(file, call.signal).catch(() => paths.buffered.upload(file, call.signal));
const BOTH = [
  ['streaming', streaming],
  ['buffered', buffered],
] as const;

const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...error };
};

describe('a provider that is broken for streaming uploads', () => {
  describe.each(['answer-500', 'reset-connection'] as const)('(%s)', (fault) => {
    it.each(FILES)('costs the user nothing: the fallback sends all of $name', async ({ name, content }) => {
      const rig = await startRig({ upload: streamingThenBuffered });
      rig.provider.breakStreaming(fault);

      const response = await post(rig, name, content);

      expect(response.status).toBe(201);
      expect(rig.provider.faults?.count).toBe(1);
      expect(rig.provider.received).toMatchObject([
        { fileName: name, sizeBytes: content.length, sha256: sha256(content), streamed: false },
      ]);
      expect(await rig.spooledFiles()).toEqual([]);
    });
  });

  it('serves streaming uploads again after the fault', async () => {
    const rig = await startRig({ upload: streamingThenBuffered });
    await fetch(`${rig.provider.controlUrl}/break`, { method: 'POST' });
    expect(await (await post(rig, 'a', Buffer.from('a'))).json()).toMatchObject({ via: 'buffered' });
    await fetch(`${rig.provider.controlUrl}/repair`, { method: 'POST' });
    expect(await (await post(rig, 'a', Buffer.from('a'))).json()).toMatchObject({ via: 'streaming' });
  });

  it('can be tried again with the same file', async () => {
    const content = randomBytes(3_000_000);
    const rig = await startRig({
      upload: (paths) => async (_context, file, call) => {
        await expect(paths.streaming.upload(file, call.signal)).rejects.toThrow();
        rig.provider.repair();
        return paths.streaming.upload(file, call.signal);
      },
    });
    rig.provider.breakStreaming('reset-connection');

    expect((await post(rig, 'again.bin', content)).status).toBe(201);
    expect(rig.provider.received).toMatchObject([{ sha256: sha256(content), streamed: true }]);
  });

  it('is named in the answer when nothing else is left', async () => {
    const rig = await startRig({ upload: streaming });
    rig.provider.breakStreaming();
    expect(await errorOf(await post(rig, 'a.txt', Buffer.from('a')))).toMatchObject({
      status: 502,
      code: 'PROVIDER_HTTP_500',
    });
  });
});

describe.each(BOTH)('an invalid request (%s)', (_via, upload) => {
  it.each([
    ['announced', 5_000_000],
    ['found out while reading', 1_000_001],
  ])('is refused with 413 when the file is too large, %s', async (_how, sizeBytes) => {
    const rig = await startRig({ upload, maxFileBytes: 1_000_000 });
    const response = await post(rig, 'large.bin', randomBytes(sizeBytes));
    expect(await errorOf(response)).toEqual({
      status: 413,
      code: 'FILE_TOO_LARGE',
      message: 'The file is larger than the allowed 1000000 bytes.',
    });
    expect(rig.provider.received).toEqual([]);
    expect(await rig.spooledFiles()).toEqual([]);
  });

  it('accepts a file of exactly the allowed size', async () => {
    const rig = await startRig({ upload, maxFileBytes: 1_000_000 });
    expect((await post(rig, 'just.bin', randomBytes(1_000_000))).status).toBe(201);
  });

  it.each([
    ['no file', 400, 'NO_FILE', form(['note', 'hello'])],
    ['an empty form', 400, 'NO_FILE', form()],
    ['several files', 400, 'SEVERAL_FILES', form(['file', new Blob(['a'])], ['file', new Blob(['b'])])],
    ['no form at all', 415, 'NOT_MULTIPART', undefined],
  ])('is refused when there is %s', async (_what, status, code, body) => {
    const rig = await startRig({ upload });
    const response = await fetch(`${rig.url}/upload`, {
      method: 'POST',
      ...(body ? { body } : { body: '{}', headers: { 'content-type': 'application/json' } }),
    });
    expect(await errorOf(response)).toMatchObject({ status, code });
    expect(rig.provider.received).toEqual([]);
    expect(await rig.spooledFiles()).toEqual([]);
  });

  it('is refused when the form ends before its last boundary', async () => {
    const rig = await startRig({ upload });
    const response = await fetch(`${rig.url}/upload`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      body: `${FILE_HEADER}only half of it`,
    });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'UPLOAD_INCOMPLETE' });
    expect(rig.provider.received).toEqual([]);
    expect(await rig.spooledFiles()).toEqual([]);
  });
});

describe.each(BOTH)('a client that vanishes in the middle (%s)', (via, upload) => {
  it('leaves nothing behind, here or at the provider', async () => {
    const ended = vi.fn();
    const rig = await startRig({
      upload: (paths) => (context, file, call) => {
        const running = upload(paths)(context, file, call);
        running.catch(() => ended(call.signal.aborted));
        return running;
      },
    });
    const client = await sendHalf(rig);
    if (via === 'streaming') await eventually(async () => expect(await rig.spooledFiles()).not.toEqual([]));

    client.destroy();

    await eventually(() => expect(ended).toHaveBeenCalledWith(true));
    await eventually(async () => expect(await rig.spooledFiles()).toEqual([]));
    expect(rig.provider.received).toEqual([]);
  });
});

it.each(BOTH)('a client that stalls in the middle gets an error (%s)', async (_via, upload) => {
  const rig = await startRig({ upload, clientSilenceMs: 100 });
  const client = await sendHalf(rig);
  const answer = new Promise<string>((resolve) => client.once('data', (data) => resolve(String(data))));
  expect(await answer).toMatch(/^HTTP\/1.1 408 .*UPLOAD_STALLED/s);
  expect(await rig.spooledFiles()).toEqual([]);
  client.destroy();
});

it('stops waiting for a stalled client when the operation times out', async () => {
  const rig = await startRig({
    upload: (paths) => async (_context, file) => {
      const signal = AbortSignal.timeout(50);
      return paths.streaming.upload(file, signal);
    },
  });
  const client = await sendHalf(rig);
  const answer = new Promise<string>((resolve) => client.once('data', (data) => resolve(String(data))));
  expect(await answer).toContain('HTTP/1.1 50');
  expect(await rig.spooledFiles()).toEqual([]);
  client.destroy();
});

it('serves its health and the state of the rollout', async () => {
  const rig = await startRig({ upload: streaming });
  expect(await (await fetch(`${rig.url}/health`)).json()).toEqual({ status: 'ok' });
  expect(await (await fetch(`${rig.url}/rollout`)).json()).toEqual({ state: 'armed' });
});

const FILE_HEADER =
  '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n';

function form(...entries: (readonly [string, string | Blob])[]): FormData {
  const data = new FormData();
  for (const [name, value] of entries) data.append(name, value);
  return data;
}

/** Announces 1 MB, sends 200 kB and then nothing more. */
async function sendHalf(rig: Rig): Promise<Socket> {
  const { port } = new URL(rig.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n' +
      `Content-Type: multipart/form-data; boundary=x\r\n\r\n${FILE_HEADER}`,
  );
  await new Promise<void>((resolve) => socket.write(Buffer.alloc(200_000), () => resolve()));
  return socket;
}
