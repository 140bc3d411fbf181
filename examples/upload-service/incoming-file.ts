import type { Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { IncomingFile } from './received-file.js';
import { isUploadError, UploadError } from './upload-error.js';

/** What a service allows its clients. */
export interface IncomingLimits {
  readonly maxFileBytes: number;
  /** A client that sends nothing for so long while the service waits for it has stalled, in milliseconds. */
  readonly clientSilenceMs: number;
}

/** Room for the form around the file: boundaries, headers, other fields. */
const FORM_BYTES = 64 * 1024;

/**
 * Takes the file out of a multipart request, without reading it yet.
 *
 * Its content ends only after the whole form has been read and found sound, so that no reader mistakes half a file for a
 * whole one; every error on the way is an {@link UploadError}.
 */
export async function incomingFile(
  request: FastifyRequest,
  { maxFileBytes, clientSilenceMs }: IncomingLimits,
): Promise<IncomingFile> {
  if (!request.isMultipart()) {
    throw new UploadError('NOT_MULTIPART', 415, 'Send the file as multipart/form-data.');
  }
  const announcedBytes = Number(request.headers['content-length'] ?? 0);
  if (announcedBytes > maxFileBytes + FORM_BYTES) throw UploadError.tooLarge(maxFileBytes);

  const parts = request.parts({ limits: { fileSize: maxFileBytes } });
  const file = await firstFile(parts).catch(rethrowAsUploadError);
  return {
    name: file.filename,
    contentType: file.mimetype,
    content: content(file, parts, { maxFileBytes, clientSilenceMs }),
    discard: () => file.file.destroy(),
  };
}

async function firstFile(parts: AsyncIterableIterator<Multipart>): Promise<MultipartFile> {
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    if (part.value.type === 'file') return part.value;
  }
  throw new UploadError('NO_FILE', 400, 'The form contains no file.');
}

async function* content(
  { file }: MultipartFile,
  otherParts: AsyncIterableIterator<Multipart>,
  { maxFileBytes, clientSilenceMs }: IncomingLimits,
): AsyncGenerator<Uint8Array> {
  try {
    yield* unlessSilent(file, clientSilenceMs);
    if (file.truncated) throw UploadError.tooLarge(maxFileBytes);
    for await (const part of otherParts) {
      if (part.type !== 'file') continue;
      part.file.destroy();
      throw new UploadError('SEVERAL_FILES', 400, 'Send one file per request.');
    }
  } catch (error) {
    rethrowAsUploadError(error);
  }
}

/** The chunks of a file; the clock runs only while the client is waited for. */
async function* unlessSilent(file: Readable, clientSilenceMs: number): AsyncGenerator<Uint8Array> {
  const stalled = new UploadError(
    'UPLOAD_STALLED',
    408,
    'The client stopped sending in the middle of the file.',
  );
  const clock = () => setTimeout(() => file.destroy(stalled), clientSilenceMs);
  let timer = clock();
  try {
    for await (const chunk of file) {
      clearTimeout(timer);
      yield chunk;
      timer = clock();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Whatever goes wrong while a request is read is the request's fault: its form is broken, or the client has gone. */
function rethrowAsUploadError(cause: unknown): never {
  if (isUploadError(cause)) throw cause;
  throw new UploadError('UPLOAD_INCOMPLETE', 400, 'The upload ended early or its form is broken.', { cause });
}
