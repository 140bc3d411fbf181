import { request as httpRequest } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';

/** A certificate and its key. */
export interface Pem {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;

/** A CA that no machine knows. */
export class PrivateCa {
  private constructor(readonly own: Pem) {}

  static async create(): Promise<PrivateCa> {
    const made = await generate([{ name: 'commonName', value: 'Made-up CA' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    return new PrivateCa({ cert: made.cert, key: made.private });
  }

  /** A certificate for a server, or for a client. @param expired - It ended yesterday. */
  async issue(name: string, expired = false): Promise<Pem> {
    const made = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: this.own,
      notBeforeDate: new Date(Date.now() - 2 * DAY_MS),
      notAfterDate: new Date(Date.now() + (expired ? -DAY_MS : DAY_MS)),
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: name },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    });
    return { cert: made.cert, key: made.private };
  }
}

/** A server that speaks TLS and passes everything on to one that does not. @returns its port. */
export async function tlsFront(
  target: string,
  options: ServerOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { hostname: host, port } = new URL(target);
  const server = createServer(options, (request, response) => {
    const { method, url: path, headers } = request;
    const onward = httpRequest({ host, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
