import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { multipartForm } from '../../examples/upload-service/multipart-form.js';

/** A file that a user sends. */
export interface ClientFile {
  readonly name: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  chunks(): Iterable<Uint8Array>;
}

/** What the user got. */
export interface ClientAnswer {
  readonly status: number;
  /** The file's record on 201, else `{ error: { code, message } }`. */
  readonly body: {
    readonly id?: string;
    readonly via?: 'streaming' | 'buffered';
    readonly provider?: string;
    readonly fileName?: string;
    readonly error?: { readonly code: string; readonly message: string };
  };
}

/** Users' own connections: as many as needed, with long time-outs for slow services. */
export const usersConnections = (): Agent => new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/** Uploads one file, as a browser does, without ever holding all of it. */
export async function uploadTo(
  serviceUrl: string,
  file: ClientFile,
  userId: string,
  connections: Dispatcher,
): Promise<ClientAnswer> {
  const form = multipartForm({}, file);
  const body = Readable.from(
    (function* () {
      yield form.head;
      yield* file.chunks();
      yield form.tail;
    })(),
  );
  const response = await request(`${serviceUrl}/upload`, {
    method: 'POST',
    headers: {
      'x-user-id': userId,
      'content-type': form.contentType,
      'content-length': String(form.head.length + file.sizeBytes + form.tail.length),
    },
    body,
    dispatcher: connections,
  });
  return { status: response.statusCode, body: (await response.body.json()) as ClientAnswer['body'] };
}
