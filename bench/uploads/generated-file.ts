import { createHash, randomBytes } from 'node:crypto';

const CHUNK_BYTES = 64 * 1024;
const noise = randomBytes(CHUNK_BYTES);

/** A file of any size that needs no memory: made chunk by chunk, no two chunks alike. */
export interface GeneratedFile {
  readonly name: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  /** The bytes from the first one on, the same each time. */
  chunks(): Iterable<Uint8Array>;
  /** Its SHA-256, in hex; computed each time. */
  sha256(): string;
}

/** Makes a file; `seed` distinguishes files of the same size. */
export function generatedFile(
  name: string,
  contentType: string,
  sizeBytes: number,
  seed: number,
): GeneratedFile {
  function* chunks(): Generator<Uint8Array> {
    for (let offset = 0; offset < sizeBytes; offset += CHUNK_BYTES) {
      const chunk = Buffer.from(noise.subarray(0, Math.min(CHUNK_BYTES, sizeBytes - offset)));
      if (chunk.length >= 12) {
        chunk.writeUInt32LE(seed, 0);
        chunk.writeDoubleLE(offset, 4);
      }
      yield chunk;
    }
  }
  return {
    name,
    contentType,
    sizeBytes,
    chunks,
    sha256() {
      const hash = createHash('sha256');
      for (const chunk of chunks()) hash.update(chunk);
      return hash.digest('hex');
    },
  };
}
