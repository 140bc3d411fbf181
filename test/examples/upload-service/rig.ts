import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { filesHeld } from '../../../examples/demo/files-held.js';
import {
  type LoopbackProvider,
  startLoopbackProvider,
} from '../../../examples/upload-service/loopback-provider.js';
import { createProviderClient, type FileApi } from '../../../examples/upload-service/provider-client.js';
import { createUploadService, type UploadServiceOptions } from '../../../examples/upload-service/service.js';
import { createBufferedUpload } from '../../../examples/upload-service/upload-buffered.js';
import type { UploadPath } from '../../../examples/upload-service/upload-file.js';
import { createStreamingUpload } from '../../../examples/upload-service/upload-streaming.js';

/** An upload service on a free port, in front of a loopback provider, and everything that a test needs of them. */
export interface Rig {
  readonly url: string;
  readonly provider: LoopbackProvider;
  readonly streaming: UploadPath;
  readonly buffered: UploadPath;
  readonly spoolDirectory: string;
  /** Files that this process has open in the spool directory, unnamed ones included, and those lying there. */
  spooledFiles(): Promise<string[]>;
}

export interface RigOptions {
  readonly upload: (paths: Pick<Rig, 'streaming' | 'buffered'>) => UploadServiceOptions['upload'];
  readonly maxFileBytes?: number;
  readonly clientSilenceMs?: number;
  readonly api?: FileApi;
}

/** Starts a rig that ends with the test. */
export async function startRig(options: RigOptions): Promise<Rig> {
  const spoolDirectory = await mkdtemp(join(tmpdir(), 'upload-service-test-'));
  const provider = await startLoopbackProvider();
  const api = options.api ?? 'kimi';
  const client = createProviderClient(api, { baseUrl: provider.baseUrl(api), apiKey: provider.apiKey });
  const streaming = createStreamingUpload(client, { connections: 4 });
  const buffered = createBufferedUpload(client);
  const service = await createUploadService({
    upload: options.upload({ streaming, buffered }),
    rolloutStatus: () => ({ state: 'armed' }),
    maxFileBytes: options.maxFileBytes ?? 100 * 1024 * 1024,
    clientSilenceMs: options.clientSilenceMs,
    spoolDirectory,
  });
  await service.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    service.server.closeAllConnections();
    await service.close();
    await provider.close();
    await Promise.all([streaming.close(), buffered.close()]);
    await rm(spoolDirectory, { recursive: true });
  });
  const { port } = service.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    provider,
    streaming,
    buffered,
    spoolDirectory,
    spooledFiles: () => filesHeld(spoolDirectory),
  };
}

/** Uploads as a browser does. */
export function post(
  rig: Rig,
  name: string,
  content: Uint8Array,
  type = 'application/octet-stream',
): Promise<Response> {
  const form = new FormData();
  form.append('file', new Blob([Buffer.from(content)], { type }), name);
  return fetch(`${rig.url}/upload`, { method: 'POST', body: form, headers: { 'x-user-id': 'user-1' } });
}

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Files that differ in what could go wrong with them. */
export const FILES: readonly { readonly name: string; readonly type: string; readonly content: Buffer }[] = [
  { name: 'empty.txt', type: 'text/plain', content: Buffer.alloc(0) },
  { name: 'text.txt', type: 'text/plain', content: Buffer.from('naïve — 日本語 🚀\r\n'.repeat(500)) },
  {
    name: 'boundary.txt',
    type: 'text/plain',
    content: Buffer.from('\r\n------upload-\r\n--\r\n\r\n'.repeat(50)),
  },
  { name: 'binary.bin', type: 'application/octet-stream', content: randomBytes(100_000) },
  { name: '1MB.bin', type: 'application/octet-stream', content: randomBytes(1024 * 1024) },
  { name: '10MB.bin', type: 'application/octet-stream', content: randomBytes(10 * 1024 * 1024) },
];
