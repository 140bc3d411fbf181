import fastify, { type FastifyInstance } from 'fastify';
import type { Upload } from './upload-paths.js';

/** The reply to an upload. */
export interface Receipt {
  readonly sha256: string;
  readonly tried: readonly string[];
}

/** What the service is built from. */
export interface ServiceOptions {
  /** The guard's operation. */
  readonly upload: (context: { readonly targetingKey: string }, upload: Upload) => Promise<string>;
  /** What `GET /rollout` shows. */
  readonly rolloutStatus: () => unknown;
  readonly onReceipt: (receipt: Receipt) => void;
}

/** A small service: `POST /upload` takes bytes and answers with their digest. */
export function createService({ upload, rolloutStatus, onReceipt }: ServiceOptions): FastifyInstance {
  const service = fastify({ logger: false, forceCloseConnections: true });
  service.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  service.get('/rollout', async () => rolloutStatus());
  service.post('/upload', async (request): Promise<Receipt> => {
    const tried: string[] = [];
    // A real service knows its users from their session; this one believes a header.
    const targetingKey = String(request.headers['x-user-id'] ?? request.ip);
    const sha256 = await upload({ targetingKey }, { content: request.body as Buffer, tried });
    const receipt = { sha256, tried };
    onReceipt(receipt);
    return receipt;
  });
  return service;
}
