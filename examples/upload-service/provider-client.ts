import { Readable } from 'node:stream';
import { request } from 'undici';
import { z } from 'zod';
import {
  type FileProvider,
  FileProviderError,
  type OutgoingFile,
  type SendOptions,
  type StoredFile,
} from './file-provider.js';
import { type MultipartForm, multipartForm } from './multipart-form.js';

/**
 * The documented file APIs, which differ in address, purposes and errors only: a multipart form with `purpose` and
 * `file`, a bearer key, and a file object as the answer.
 *
 * - Kimi (Moonshot): `POST /v1/files`, https://platform.kimi.ai/docs/api/files-upload (at most 100 MB a file; in China
 *   https://platform.moonshot.cn/docs/api/files). Errors are `{ error: { type, message } }`,
 *   https://www.kimi.com/help/kimi-api/api-error-codes
 * - GLM (Zhipu): `POST /paas/v4/files`, https://docs.z.ai/api-reference/agents/file-upload (at most 100 MB a file; in
 *   China https://docs.bigmodel.cn/api-reference/文件-api/上传文件, where `agent` takes 20 MB). Errors are
 *   `{ error: { code, message } }`, https://docs.z.ai/api-reference/api-code: 435 for a file too large.
 */
export const FILE_APIS = {
  kimi: { baseUrl: 'https://api.moonshot.ai/v1', purpose: 'file-extract' },
  glm: { baseUrl: 'https://api.z.ai/api/paas/v4', purpose: 'agent' },
} as const;

/** Which provider's API. */
export type FileApi = keyof typeof FILE_APIS;

/** Where and as whom to send files. */
export interface ProviderClientOptions {
  /** @default the public address of the API */
  readonly baseUrl?: string | undefined;
  /** Sent as bearer token; never logged. */
  readonly apiKey: string;
  /** What the provider shall do with the files. @default `file-extract` (Kimi), `agent` (GLM) */
  readonly purpose?: string | undefined;
}

/** The fields that both APIs answer with; each has more. */
const fileObjectSchema = z.object({
  id: z.string().min(1),
  bytes: z.number().int().nonnegative(),
  filename: z.string(),
  created_at: z.number(),
});

/** Kimi names a `type`, GLM a `code`. */
const errorBodySchema = z.object({
  error: z.object({ message: z.string(), type: z.string().optional(), code: z.string().nullish() }),
});

/** A client of one provider's file API. */
export function createProviderClient(api: FileApi, options: ProviderClientOptions): FileProvider {
  const url = `${(options.baseUrl ?? FILE_APIS[api].baseUrl).replace(/\/+$/, '')}/files`;
  const purpose = options.purpose ?? FILE_APIS[api].purpose;
  const authorization = `Bearer ${options.apiKey}`;

  return { name: api, send };

  async function send(file: OutgoingFile, { connections, signal }: SendOptions): Promise<StoredFile> {
    const form = multipartForm({ purpose }, file);
    const { content } = file;
    const sent = { bytes: 0 };
    const response = await request(url, {
      method: 'POST',
      headers: {
        authorization,
        accept: 'application/json',
        'content-type': form.contentType,
        // Without a length, the body goes out in chunked encoding.
        ...(content instanceof Uint8Array && { 'content-length': String(lengthOf(form, content)) }),
      },
      body: Readable.from(body(form, content instanceof Uint8Array ? [content] : content(), sent)),
      dispatcher: connections,
      signal,
    });
    const text = await response.body.text();
    if (response.statusCode >= 300) throw refusal(response.statusCode, text);
    const stored = parseJson(fileObjectSchema, text);
    if (stored === undefined) {
      throw new FileProviderError(
        'PROVIDER_ANSWER_INVALID',
        'The file provider answered without a file object.',
      );
    }
    if (stored.bytes !== sent.bytes) {
      const message = `The file provider keeps ${stored.bytes} bytes of a file of ${sent.bytes}.`;
      throw new FileProviderError('PROVIDER_FILE_INCOMPLETE', message);
    }
    return {
      id: stored.id,
      fileName: stored.filename,
      sizeBytes: stored.bytes,
      createdAt: stored.created_at * 1000,
      provider: api,
    };
  }
}

/** The form around the file, chunk by chunk and without a copy; counts the file's bytes. */
async function* body(
  form: MultipartForm,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  sent: { bytes: number },
): AsyncGenerator<Uint8Array> {
  yield form.head;
  for await (const chunk of content) {
    sent.bytes += chunk.length;
    yield chunk;
  }
  yield form.tail;
}

const lengthOf = (form: MultipartForm, content: Uint8Array): number =>
  form.head.length + content.length + form.tail.length;

function refusal(statusCode: number, text: string): FileProviderError {
  const { message, type, code } = parseJson(errorBodySchema, text)?.error ?? {};
  const detail = message === undefined ? '' : `: ${message.slice(0, 200)} (${type ?? code ?? 'no code'})`;
  const summary = `The file provider answered ${statusCode}${detail}`;
  return new FileProviderError(`PROVIDER_HTTP_${statusCode}`, summary, statusCode);
}

function parseJson<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
