import multipart from '@fastify/multipart';
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { isRetryableError } from 'unleash-rollout-guard';
import { isFileProviderError, isTooLargeForProvider } from './file-provider.js';
import { incomingFile } from './incoming-file.js';
import { LocalFile } from './local-file.js';
import { ReceivedFile } from './received-file.js';
import { isUploadError, UploadError } from './upload-error.js';
import type { UploadFile, UploadResult } from './upload-file.js';

/** What the service is built from. */
export interface UploadServiceOptions {
  /** Brings a file to the provider: the guard's operation, or one upload path alone. */
  readonly upload: (
    context: { readonly targetingKey: string; readonly requestId: string },
    file: UploadFile,
    call: { readonly signal: AbortSignal },
  ) => Promise<UploadResult>;
  /** What `GET /rollout` shows. */
  readonly rolloutStatus: () => unknown;
  readonly maxFileBytes: number;
  /**
   * A client that sends nothing for so long in the middle of a file has stalled: its own fault, not the upload path's.
   * In milliseconds; keep it well below the guard's time limit.
   * @default 10_000
   */
  readonly clientSilenceMs?: number | undefined;
  /** Where files wait on their way, unnamed; see `Spool`. */
  readonly spoolDirectory: string;
  /** Files in this folder can be uploaded by their path. @default undefined: `POST /upload-path` does not exist */
  readonly importDirectory?: string | undefined;
  /** Fastify's own request log. @default false */
  readonly logger?: boolean | undefined;
}

/** A client that sends nothing for so long is gone; longer than the time limit of an upload with its fallback. */
const SILENT_CLIENT_MS = 120_000;

/** Builds the service; call `listen()` on it. `close()` waits for uploads that are under way. */
export async function createUploadService(options: UploadServiceOptions): Promise<FastifyInstance> {
  const { upload, rolloutStatus, maxFileBytes, spoolDirectory, importDirectory } = options;
  const limits = { maxFileBytes, clientSilenceMs: options.clientSilenceMs ?? 10_000 };
  const service = fastify({ logger: options.logger ?? false, connectionTimeout: SILENT_CLIENT_MS });
  await service.register(multipart, { throwFileSizeLimit: false });
  service.setErrorHandler<FastifyError>(answerError);

  // The last answer on a connection says so: the client would keep it open, and closing would wait for the client.
  let closing = false;
  service.addHook('preClose', async () => {
    closing = true;
  });
  service.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });

  service.get('/health', async () => ({ status: 'ok' }));
  service.get('/rollout', async () => rolloutStatus());
  service.post('/upload', async (request, reply) => {
    const gone = clientGone(reply);
    try {
      const file = new ReceivedFile(await incomingFile(request, limits), spoolDirectory);
      const result = await upload(contextOf(request), file, { signal: gone }).finally(() => file.close());
      return reply.code(201).send(result);
    } finally {
      // What is left of a refused request is read and dropped, so that its client gets to read the answer.
      request.raw.unpipe().resume();
    }
  });
  if (importDirectory !== undefined) {
    service.post('/upload-path', async (request, reply) => {
      const file = new LocalFile(pathOf(request.body), { directory: importDirectory, maxFileBytes });
      const result = await upload(contextOf(request), file, { signal: clientGone(reply) });
      return reply.code(201).send(result);
    });
  }
  return service;
}

function pathOf(body: unknown): string {
  const path = body !== null && typeof body === 'object' && 'path' in body ? body.path : undefined;
  if (typeof path === 'string' && path !== '') return path;
  throw new UploadError('NO_FILE', 400, 'Send { "path": "..." }: a file in the import folder.');
}

/** A real service knows its users from their session; this one believes a header. */
function contextOf(request: FastifyRequest): { targetingKey: string; requestId: string } {
  const header = request.headers['x-user-id'];
  const targetingKey = typeof header === 'string' && header !== '' ? header : request.ip;
  return { targetingKey, requestId: request.id };
}

/**
 * Aborts when the client hangs up before it has its answer. Fastify's own `request.signal` will not do: it aborts as
 * soon as the request has been read to its end.
 */
function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new Error('The client closed the connection.'));
  });
  return controller.signal;
}

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (isUploadError(error)) return answer(reply, error.statusCode, error.code, error.message);
  if (isTooLargeForProvider(error)) return answer(reply, 413, error.code, error.message);
  if (isFileProviderError(error)) return answer(reply, 502, error.code, error.message);
  if (error.code === 'OPERATION_TIMEOUT') return answer(reply, 504, error.code, error.message);
  if (isRetryableError(error)) {
    request.log.warn({ err: error }, 'file provider out of reach');
    return answer(reply, 502, 'PROVIDER_UNREACHABLE', 'The file provider could not be reached.');
  }
  const statusCode = error.statusCode ?? 500;
  if (statusCode < 500) return answer(reply, statusCode, error.code, error.message);
  request.log.error({ err: error }, 'upload failed');
  return answer(reply, 500, 'INTERNAL', 'The upload failed.');
}

function answer(reply: FastifyReply, statusCode: number, code: string, message: string): FastifyReply {
  return reply.code(statusCode).send({ error: { code, message } });
}
