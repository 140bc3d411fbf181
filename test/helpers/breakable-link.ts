import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be interrupted. To those who use it, the server itself seems to be down. */
export interface BreakableLink extends AsyncDisposable {
  /** Where the way begins. */
  readonly url: string;
  /** What becomes of a part of an answer; by default, it is written to the client. */
  onAnswer: (part: Buffer, client: Socket) => void;
  /** The connections of clients that are open. */
  readonly clients: ReadonlySet<Socket>;
  /** Closes every connection and refuses new ones. */
  pause(): Promise<void>;
  /** Accepts connections again, on the same port, and leads them to another server if one is given. */
  resume(target?: string): Promise<void>;
}

export const passOn: BreakableLink['onAnswer'] = (part, client) => void client.write(part);

export async function openLink(target: string): Promise<BreakableLink> {
  let { hostname, port: targetPort } = new URL(target);
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(targetPort), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => from.destroy());
      from.once('close', () => {
        sockets.delete(from);
        clients.delete(from);
        to.destroy();
      });
      from.once('end', () => to.end());
    }
    clients.add(near);
    near.on('data', (part) => far.write(part));
    far.on('data', (part) => link.onAnswer(part, near));
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const pause = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const resume = async (other?: string) => {
    if (other !== undefined) ({ hostname, port: targetPort } = new URL(other));
    await listen(port);
  };
  const link: BreakableLink = {
    url: `http://127.0.0.1:${port}`,
    onAnswer: passOn,
    clients,
    pause,
    resume,
    [Symbol.asyncDispose]: pause,
  };
  return link;
}
