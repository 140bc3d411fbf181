import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';

/** What arrived of a sound form. */
export interface ArrivedForm {
  readonly purpose: string;
  readonly fileName: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The form is not what the API documents; the message says why. */
export class FormError extends Error {
  constructor(
    readonly reason: 'invalid' | 'too-large',
    message: string,
  ) {
    super(message);
  }
}

/** What is done with a file while it is read. */
export interface ReadingOptions {
  readonly purposes: readonly string[];
  readonly bytesPerSecond: number | undefined;
  /** Called when the file begins; what it throws ends the reading. */
  onFile(fileName: string): void;
  /** Called once, with the first chunk or at the end of an empty file; what it throws ends the reading. */
  onContent(): void;
}

/** @throws {@link FormError}, and what the options' functions throw. */
export async function readForm(request: FastifyRequest, options: ReadingOptions): Promise<ArrivedForm> {
  let purpose: string | undefined;
  let file: Omit<ArrivedForm, 'purpose'> | undefined;
  if (!request.isMultipart()) throw new FormError('invalid', 'multipart/form-data is expected');
  for await (const part of parts(request)) {
    if (part.type === 'field') {
      if (part.fieldname === 'purpose') purpose = String(part.value);
      continue;
    }
    if (part.fieldname !== 'file' || file !== undefined) {
      throw new FormError('invalid', 'exactly one file, named file, is expected');
    }
    file = await readFile(part, options);
  }
  if (file === undefined) throw new FormError('invalid', 'file is required');
  if (purpose === undefined) throw new FormError('invalid', 'purpose is required');
  if (!options.purposes.includes(purpose)) throw new FormError('invalid', `purpose: ${purpose}`);
  return { purpose, ...file };
}

/** The form's parts; a form that is broken or ends early is an error of the form. */
async function* parts(request: FastifyRequest): ReturnType<FastifyRequest['parts']> {
  const iterator = request.parts();
  for (;;) {
    const next = await iterator.next().catch((error: Error) => {
      throw new FormError('invalid', error.message);
    });
    if (next.done) return;
    yield next.value;
  }
}

/** The file's chunks; a file that breaks off is an error of the form. */
async function* contentOf(part: MultipartFile): AsyncGenerator<Buffer> {
  try {
    yield* part.file;
  } catch (error) {
    throw new FormError('invalid', error instanceof Error ? error.message : 'the file breaks off');
  }
}

async function readFile(part: MultipartFile, options: ReadingOptions): Promise<Omit<ArrivedForm, 'purpose'>> {
  if (part.filename === '') throw new FormError('invalid', 'the file has no name');
  // Undoes what browsers, and multipartForm, do to the three characters that cannot stand in a quoted name.
  const fileName = part.filename.replaceAll('%22', '"').replaceAll('%0D', '\r').replaceAll('%0A', '\n');
  options.onFile(fileName);
  const hash = createHash('sha256');
  const startedAt = performance.now();
  let sizeBytes = 0;
  for await (const chunk of contentOf(part)) {
    hash.update(chunk);
    if (sizeBytes === 0) options.onContent();
    sizeBytes += chunk.length;
    if (options.bytesPerSecond !== undefined) {
      const aheadMs = startedAt + (sizeBytes / options.bytesPerSecond) * 1000 - performance.now();
      if (aheadMs > 1) await sleep(aheadMs);
    }
  }
  if (sizeBytes === 0) options.onContent();
  if (part.file.truncated) throw new FormError('too-large', fileName.slice(0, 100));
  return { fileName, contentType: part.mimetype, sizeBytes, sha256: hash.digest('hex') };
}
