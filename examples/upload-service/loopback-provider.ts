import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import multipart from '@fastify/multipart';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { type RefusalReason, refusal } from './loopback/answers.js';
import type { Conditions, Fault } from './loopback/conditions.js';
import { FormError, readForm } from './loopback/form.js';
import { FILE_APIS, type FileApi } from './provider-client.js';

/** One file that arrived whole. */
export interface ReceivedUpload {
  readonly id: string;
  readonly api: FileApi;
  readonly fileName: string;
  readonly contentType: string;
  readonly purpose: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Sent in chunks of a length not known beforehand, as the streaming path does. */
  readonly streamed: boolean;
  /** Client's port: equal for uploads that shared a connection. */
  readonly clientPort: number;
  readonly at: number;
}

/** A file provider on this machine, for tests and the demo. */
export interface LoopbackProvider {
  /** The base URL to give to a client of that API. */
  baseUrl(api: FileApi): string;
  /** `POST` here breaks (`/break`) and repairs (`/repair`) the provider by hand. */
  readonly controlUrl: string;
  readonly apiKey: string;
  /** The latest 10,000 files that arrived whole and were confirmed, oldest first. */
  readonly received: readonly ReceivedUpload[];
  /** All that were. */
  readonly receivedCount: number;
  /** Uploads of which at least the head arrived, whatever became of them. */
  readonly attemptCount: number;
  /** Uploads that a fault struck since it was set; times in milliseconds since 1970. */
  readonly faults: { readonly count: number; readonly firstAt: number; readonly lastAt: number } | undefined;
  /** From now on the provider behaves like this, and in no other way. */
  set(conditions: Conditions): void;
  /** From now on streaming uploads fail; whole-body uploads work. */
  breakStreaming(fault?: Fault): void;
  /** Waits before each answer, in milliseconds. */
  slowDown(delayMs: number): void;
  /** Everything works again, at full speed. */
  repair(): void;
  close(): Promise<void>;
}

/** How to start a {@link LoopbackProvider}. */
export interface LoopbackOptions {
  /** @default a random one */
  readonly apiKey?: string | undefined;
  /** @default 0, a free one */
  readonly port?: number | undefined;
  /** Speaks TLS with these, in PEM. @default plain HTTP */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
}

const KEPT_UPLOADS = 10_000;
const MAX_FILE_BYTES = 100 * 1024 * 1024;
const PURPOSES: Record<FileApi, readonly string[]> = {
  kimi: ['file-extract', 'image', 'video', 'batch'],
  glm: ['batch', 'code-interpreter', 'agent', 'voice-clone-input'],
};

/**
 * Starts a server on a free port of 127.0.0.1 that implements the file APIs of Kimi and GLM, strictly: the key, the
 * purpose, exactly one whole file of at most 100 MB in a sound form; anything else is refused in the API's own words.
 * File formats are not checked: the documents disagree.
 */
export async function startLoopbackProvider(options: LoopbackOptions = {}): Promise<LoopbackProvider> {
  const { tls } = options;
  const apiKey = options.apiKey ?? `sk-loopback-${randomUUID()}`;
  const received: ReceivedUpload[] = [];
  let receivedCount = 0;
  let attemptCount = 0;
  let running = 0;
  let conditions: Conditions = {};
  let faults: LoopbackProvider['faults'];

  const server = fastify({
    forceCloseConnections: true,
    serverFactory: (handler) => (tls ? createTlsServer(tls, handler) : createServer(handler)),
  });
  await server.register(multipart, { throwFileSizeLimit: false, limits: { fileSize: MAX_FILE_BYTES } });
  for (const api of ['kimi', 'glm'] as const) {
    server.post(`${new URL(FILE_APIS[api].baseUrl).pathname}/files`, async (request, reply) => {
      running++;
      try {
        return await accept(api, request, reply);
      } finally {
        running--;
      }
    });
  }
  server.post('/break', async () => {
    breakStreaming();
    return { streaming: conditions.fault };
  });
  server.post('/repair', async () => {
    repair();
    return { streaming: 'none' };
  });
  // Where all are in one process, a thousand users connect before the first of them is accepted.
  await server.listen({ host: '127.0.0.1', port: options.port ?? 0, backlog: 2_048 });
  const { port } = server.server.address() as AddressInfo;
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;

  return {
    baseUrl: (api) => origin + new URL(FILE_APIS[api].baseUrl).pathname,
    controlUrl: origin,
    apiKey,
    received,
    get receivedCount() {
      return receivedCount;
    },
    get attemptCount() {
      return attemptCount;
    },
    get faults() {
      return faults;
    },
    set,
    breakStreaming,
    slowDown: (delayMs) => {
      conditions = { ...conditions, delayMs };
    },
    repair,
    close: () => server.close(),
  };

  function set(next: Conditions): void {
    conditions = next;
    faults = undefined;
  }

  function repair(): void {
    conditions = {};
  }

  function breakStreaming(fault: Fault = 'answer-500'): void {
    set({ ...conditions, fault, strikes: ({ streamed }) => streamed });
  }

  async function accept(api: FileApi, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const number = ++attemptCount;
    const { delayMs = 0, bytesPerSecond, maxConcurrent, fault, strikes, accepts } = conditions;
    const streamed = request.headers['transfer-encoding'] === 'chunked';
    let struck: Fault | undefined;
    const refuse = (reason: RefusalReason, detail?: string) => {
      // What is left of the body is read and dropped, so that the client gets to read the answer.
      request.raw.unpipe().resume();
      const { status, body } = refusal(api, reason, detail);
      return reply.code(status).send(body);
    };

    if (request.headers.authorization !== `Bearer ${apiKey}`) return refuse('unauthorized');
    if (maxConcurrent !== undefined && running > maxConcurrent) return refuse('too-many-at-once');
    try {
      const form = await readForm(request, {
        purposes: PURPOSES[api],
        bytesPerSecond,
        onFile(fileName) {
          if (fault === undefined || strikes?.({ api, fileName, streamed, number }) === false) return;
          struck = fault;
          const at = Date.now();
          faults = { count: (faults?.count ?? 0) + 1, firstAt: faults?.firstAt ?? at, lastAt: at };
          if (struck === 'answer-500' || struck === 'answer-429') throw new Struck();
        },
        onContent() {
          if (struck === 'reset-connection' || struck === 'stall') throw new Struck();
        },
      });
      if (struck === 'never-answer') throw new Struck();
      if (delayMs > 0) await sleep(delayMs);
      if (accepts?.(form) === false) return refuse('invalid', 'this is not the file that was expected');
      return confirm(form);
    } catch (error) {
      if (error instanceof FormError) return refuse(error.reason, error.message);
      if (!(error instanceof Struck)) throw error;
    }
    if (struck === 'answer-500') return refuse('trouble');
    if (struck === 'answer-429') return refuse('too-frequent');
    reply.hijack();
    if (struck === 'reset-connection') request.raw.destroy();
    else await once(request.raw.socket, 'close'); // The client's requestOptions ends it.
    return reply;

    async function confirm(form: Awaited<ReturnType<typeof readForm>>): Promise<unknown> {
      const { purpose, ...file } = form;
      const at = Date.now();
      const id = `file-${randomUUID()}`;
      const fileObject = {
        id,
        object: 'file',
        bytes: struck === 'lose-bytes' ? file.sizeBytes - 1 : file.sizeBytes,
        created_at: Math.floor(at / 1000),
        filename: file.fileName,
        purpose,
        ...(api === 'kimi' && { status: 'ok', status_details: '' }),
      };
      if (struck === 'garble-answer') return reply.type('text/html').send('<html>Bad gateway</html>');
      if (struck === 'cut-answer') return cutOff(reply, JSON.stringify(fileObject));
      if (struck === undefined) {
        const clientPort = request.socket.remotePort ?? 0;
        receivedCount++;
        if (received.length === KEPT_UPLOADS) received.shift();
        received.push({ id, api, purpose, ...file, streamed, clientPort, at });
      }
      return fileObject;
    }
  }
}

/** A fault has struck this upload. */
class Struck extends Error {}

/** Announces the whole answer, sends half of it and breaks the connection. */
function cutOff(reply: FastifyReply, answer: string): FastifyReply {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
  reply.raw.write(answer.slice(0, answer.length / 2), () => reply.raw.destroy());
  return reply;
}
