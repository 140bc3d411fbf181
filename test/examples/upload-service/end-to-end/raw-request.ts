import { connect, type Socket } from 'node:net';

const FORM_HEAD =
  '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n';
const FORM_TAIL = '\r\n--x--\r\n';

/** A request as no well-behaved client writes it. */
export interface RawRequest {
  /** What the head announces. @default the true length */
  readonly contentLength?: number;
  /** The file's bytes that are really sent. */
  readonly content: Uint8Array;
  /** Sends the last boundary. @default true */
  readonly ending?: boolean;
}

/** Sends it and leaves the connection open, for the test to do with it what it likes. */
export async function sendRaw(url: string, path: string, raw: RawRequest): Promise<RawConnection> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  const tail = raw.ending === false ? '' : FORM_TAIL;
  const length = raw.contentLength ?? FORM_HEAD.length + raw.content.length + tail.length;
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-User-Id: ada\r\nContent-Length: ${length}\r\n` +
      `Content-Type: multipart/form-data; boundary=x\r\n\r\n${FORM_HEAD}`,
  );
  socket.write(raw.content);
  await new Promise<void>((resolve) => socket.write(tail, () => resolve()));
  return new RawConnection(socket);
}

/** A connection with one request on it. */
export class RawConnection {
  #received = '';

  constructor(readonly socket: Socket) {
    socket.on('data', (data) => {
      this.#received += data.toString();
    });
  }

  /** Everything that has come back so far. */
  get received(): string {
    return this.#received;
  }
}
