import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isTooLargeForProvider } from '../../../examples/upload-service/file-provider.js';
import {
  type LoopbackProvider,
  startLoopbackProvider,
} from '../../../examples/upload-service/loopback-provider.js';
import { createProviderClient, type FileApi } from '../../../examples/upload-service/provider-client.js';

const MB = 1024 * 1024;
let provider: LoopbackProvider;
let connections: Agent;
beforeEach(async () => {
  provider = await startLoopbackProvider();
  connections = new Agent();
});
afterEach(async () => {
  await connections.destroy();
  await provider.close();
});

function send(api: FileApi, content: Uint8Array, key = provider.apiKey) {
  const client = createProviderClient(api, { baseUrl: provider.baseUrl(api), apiKey: key });
  const file = { name: 'a.txt', contentType: 'text/plain', content };
  return client.send(file, { connections, signal: new AbortController().signal });
}

/** One request as curl would send it; `parts` are the form's. */
async function post(api: FileApi, parts: string, headers: Record<string, string> = {}) {
  const response = await request(`${provider.baseUrl(api)}/files`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${provider.apiKey}`,
      'content-type': 'multipart/form-data; boundary=x',
      ...headers,
    },
    body: parts,
    dispatcher: connections,
  });
  return { status: response.statusCode, body: await response.body.json() };
}
const part = (disposition: string, content: string) =>
  `--x\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`;
const FILE = part('name="file"; filename="a.txt"', 'hello');
const PURPOSE = part('name="purpose"', 'batch');
const END = '--x--\r\n';

describe.each([
  [
    'kimi',
    'type',
    'invalid_request_error',
    'invalid_authentication_error',
    'rate_limit_reached_error',
    'server_error',
  ],
  ['glm', 'code', '1214', '1000', '1303', '500'],
] as const)('the loopback %s API', (api, field, invalid, unauthorized, tooFrequent, trouble) => {
  it('answers with the file object that is documented', async () => {
    const { status, body } = await post(api, PURPOSE + FILE + END);
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'file', bytes: 5, filename: 'a.txt', purpose: 'batch' });
  });

  it.each([
    ['no file', PURPOSE + END],
    ['no purpose', FILE + END],
    ['a purpose that it does not know', part('name="purpose"', 'other') + FILE + END],
    ['two files', PURPOSE + FILE + FILE + END],
    ['a file under another name', PURPOSE + part('name="upload"; filename="a.txt"', 'x') + END],
    ['a form that ends early', PURPOSE + FILE],
    ['no form', '{}'],
  ])('refuses %s in its own words', async (what, form) => {
    const headers: Record<string, string> = what === 'no form' ? { 'content-type': 'application/json' } : {};
    const { status, body } = await post(api, form, headers);
    expect({ status, body }).toMatchObject({ status: 400, body: { error: { [field]: invalid } } });
    expect(provider.receivedCount).toBe(0);
  });

  it('refuses a wrong key, too many requests and trouble in its own words', async () => {
    expect(await post(api, FILE, { authorization: 'Bearer sk-other' })).toMatchObject({
      status: 401,
      body: { error: { [field]: unauthorized } },
    });
    provider.set({ fault: 'answer-429' });
    expect(await post(api, FILE)).toMatchObject({ status: 429, body: { error: { [field]: tooFrequent } } });
    provider.set({ fault: 'answer-500' });
    expect(await post(api, FILE)).toMatchObject({ status: 500, body: { error: { [field]: trouble } } });
  });

  it('refuses more requests at a time than its limit', async () => {
    provider.set({ maxConcurrent: 1, delayMs: 200 });
    const ended = await Promise.allSettled([1, 2, 3].map(() => send(api, Buffer.from('a'))));
    expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(ended.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { statusCode: 429 } });
  });

  it('accepts 100 MB and not a byte more', async () => {
    const content = Buffer.alloc(100 * MB + 1);
    const error = await send(api, content).catch((error: unknown) => error);
    expect(error).toMatchObject({ statusCode: api === 'glm' ? 435 : 400 });
    expect(isTooLargeForProvider(error)).toBe(api === 'glm');
    expect(provider.receivedCount).toBe(0);
  });
});

it('reads no faster than its limit', async () => {
  provider.set({ bytesPerSecond: 1 * MB });
  const startedAt = performance.now();
  await send('kimi', Buffer.alloc(MB / 4));
  // A busy machine can only make it slower still.
  expect(performance.now() - startedAt).toBeGreaterThan(200);
});
