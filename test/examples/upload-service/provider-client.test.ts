import { Agent, MockAgent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isFileProviderError } from '../../../examples/upload-service/file-provider.js';
import {
  type LoopbackProvider,
  startLoopbackProvider,
} from '../../../examples/upload-service/loopback-provider.js';
import { createProviderClient, type FileApi } from '../../../examples/upload-service/provider-client.js';

const file = { name: 'a.txt', contentType: 'text/plain', content: Buffer.from('hello') };
const signal = new AbortController().signal;

describe.each(['kimi', 'glm'] as const)('a client of the %s file API', (api: FileApi) => {
  let provider: LoopbackProvider;
  let connections: Agent;
  beforeEach(async () => {
    provider = await startLoopbackProvider();
    connections = new Agent();
  });
  afterEach(async () => {
    await connections.close();
    await provider.close();
  });

  it('gets the record of the file that it sent', async () => {
    const client = createProviderClient(api, { baseUrl: provider.baseUrl(api), apiKey: provider.apiKey });
    const stored = await client.send(file, { connections, signal });
    expect(stored).toMatchObject({ id: provider.received[0]?.id, fileName: 'a.txt', sizeBytes: 5 });
    expect(Math.abs(stored.createdAt - Date.now())).toBeLessThan(10_000);
  });

  it.each([
    ['a wrong key', { apiKey: 'sk-wrong' }, 401, /invalid authentication|authentication failed/i],
    ['an unknown purpose', { purpose: 'world-domination' }, 400, /purpose/],
  ])('reports why the provider refuses %s, without the key', async (_what, options, statusCode, message) => {
    const client = createProviderClient(api, {
      baseUrl: provider.baseUrl(api),
      apiKey: provider.apiKey,
      ...options,
    });
    const error = await client.send(file, { connections, signal }).catch((error: unknown) => error);
    expect(isFileProviderError(error)).toBe(true);
    expect(error).toMatchObject({
      code: `PROVIDER_HTTP_${statusCode}`,
      statusCode,
      message: expect.stringMatching(message),
    });
    expect(JSON.stringify(error) + String(error)).not.toContain(provider.apiKey);
    expect(provider.received).toEqual([]);
  });

  it('uploads nothing for a form without a file', async () => {
    const form = '--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfile-extract\r\n--x--\r\n';
    const { statusCode } = await request(`${provider.baseUrl(api)}/files`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${provider.apiKey}`,
        'content-type': 'multipart/form-data; boundary=x',
      },
      body: form,
      dispatcher: connections,
    });
    expect(statusCode).toBe(400);
  });
});

describe('a provider that does not do what it documents', () => {
  it.each([
    ['no JSON', 200, 'OK', 'PROVIDER_ANSWER_INVALID'],
    ['no file object', 200, '{}', 'PROVIDER_ANSWER_INVALID'],
    [
      'fewer bytes',
      200,
      '{"id":"f","bytes":4,"filename":"a.txt","created_at":1}',
      'PROVIDER_FILE_INCOMPLETE',
    ],
    ['an error in no known form', 503, '<html>', 'PROVIDER_HTTP_503'],
  ])('is recognised by its reply: %s', async (_what, status, body, code) => {
    const connections = new MockAgent();
    connections.disableNetConnect();
    connections
      .get('http://provider.test')
      .intercept({ path: '/v1/files', method: 'POST' })
      .reply(status, body);
    const client = createProviderClient('kimi', {
      baseUrl: 'http://provider.test/v1/',
      apiKey: 'sk-made-up',
    });
    await expect(client.send(file, { connections, signal })).rejects.toMatchObject({ code });
  });
});
