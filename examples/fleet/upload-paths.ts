import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';

/** One file on its way, and the paths that were tried for it. */
export interface Upload {
  readonly content: Buffer;
  readonly tried: string[];
}

const CHUNK_BYTES = 16 * 1024;

/** Lets the new path fail half-way, as it does when what is behind it breaks. */
export const faulty = { streaming: false };

/** The new path: reads the file piece by piece, and lets other requests have their turn in between. */
export async function uploadStreaming({ content, tried }: Upload): Promise<string> {
  tried.push('streaming');
  const hash = createHash('sha256');
  for (let start = 0; start < content.length; start += CHUNK_BYTES) {
    hash.update(content.subarray(start, start + CHUNK_BYTES));
    await turn();
    if (faulty.streaming) throw new Error('The storage behind the streaming path is broken.');
  }
  return hash.digest('hex');
}

/** The old path: reads the file as a whole. */
export async function uploadBuffered({ content, tried }: Upload): Promise<string> {
  tried.push('buffered');
  return createHash('sha256').update(content).digest('hex');
}
