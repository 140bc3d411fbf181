import type { IncomingMessage } from 'node:http';
import { withDeadline } from '../../support/deadline.js';
import { Refusal } from './reply.js';

const BODY_TIMEOUT_MS = 10_000;

/** Whether a framework's parser has read the body before. */
export function isReadBefore(request: IncomingMessage): boolean {
  return request.readableEnded || request.readableDidRead;
}

/** The body as it arrives. @throws Refusal when it is too long or slow. */
export async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = () =>
    new Promise<void>((resolve, reject) => {
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        // What is left of it is dropped, so that the reply can be sent.
        if (bytes <= maxBytes) chunks.push(chunk);
        else reject(new Refusal(413, `The body is longer than ${maxBytes / 1024} kB.`));
      });
      request.once('end', resolve);
      request.once('error', reject);
      request.once('close', () => reject(new Refusal(408, 'The body did not arrive.')));
    });
  try {
    await withDeadline(BODY_TIMEOUT_MS, undefined, read);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(408, 'The body did not arrive.');
  }
  return Buffer.concat(chunks);
}
