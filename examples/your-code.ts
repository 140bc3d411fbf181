import { createProviderClient } from './upload-service/provider-client.js';
import { createBufferedUpload } from './upload-service/upload-buffered.js';
import type { UploadFile, UploadResult } from './upload-service/upload-file.js';
import { createStreamingUpload } from './upload-service/upload-streaming.js';

export type { UploadFile } from './upload-service/upload-file.js';

const provider = createProviderClient('kimi', {
  baseUrl: process.env.FILE_API_URL,
  apiKey: process.env.FILE_API_KEY ?? '',
});
const streaming = createStreamingUpload(provider);
const buffered = createBufferedUpload(provider);

/** The new code path. */
export const uploadStreaming = (file: UploadFile, signal: AbortSignal): Promise<UploadResult> =>
  streaming.upload(file, signal);

/** The old code path. */
export const uploadBuffered = (file: UploadFile, signal: AbortSignal): Promise<UploadResult> =>
  buffered.upload(file, signal);

/** The user who is logged in. */
export const user = { id: 'user-42' };

const greeting = Buffer.from('Hello, file provider!\n');

/** A file that can be read again, by a retry or by the fallback. */
export const file: UploadFile = {
  name: 'hello.txt',
  contentType: 'text/plain',
  receivedBytes: greeting.length,
  async *stream() {
    yield greeting;
  },
  bytes: async () => greeting,
};
