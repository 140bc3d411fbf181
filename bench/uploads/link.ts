import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A network between a client and a server on this machine. */
export interface LinkOptions {
  readonly targetPort: number;
  /** From one end to the other and back, in milliseconds. */
  readonly roundTripMs: number;
  /** Of each connection, in each direction. */
  readonly bytesPerSecond: number;
}

/** A link that is up. */
export interface Link {
  readonly port: number;
  /** Connections made so far. */
  readonly connectionCount: number;
  close(): void;
}

/** How much may be on its way in one direction before the sender has to wait, beyond what fits on the wire. */
const BUFFER_BYTES = 256 * 1024;

/**
 * Emulates latency and bandwidth with a TCP relay: every byte arrives half a round trip later, no faster than the
 * bandwidth allows, and a new connection carries nothing for its first round trip, as TCP's handshake would. Handshakes
 * of TLS pass through it, so they cost the round trips that they need.
 */
export async function startLink(options: LinkOptions): Promise<Link> {
  const sockets = new Set<Socket>();
  let connectionCount = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    connectionCount++;
    const far = connect({ port: options.targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
    relay(near, far, options, options.roundTripMs);
    relay(far, near, options, 0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connectionCount() {
      return connectionCount;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function relay(from: Socket, to: Socket, options: LinkOptions, setUpMs: number): void {
  const { roundTripMs, bytesPerSecond } = options;
  const windowBytes = (bytesPerSecond * roundTripMs) / 1000 + BUFFER_BYTES;
  const onTheWay: { readonly chunk: Buffer | undefined; readonly dueAt: number }[] = [];
  let heldBytes = 0;
  let wireFreeAt = performance.now() + setUpMs;
  let timer: NodeJS.Timeout | undefined;

  from.on('data', (chunk) => {
    heldBytes += chunk.length;
    send(chunk, (chunk.length / bytesPerSecond) * 1000);
    if (heldBytes > windowBytes) from.pause();
  });
  from.on('end', () => send(undefined, 0));
  from.on('close', () => {
    if (!from.readableEnded) to.destroy(); // Broken off, not ended.
  });
  to.on('close', () => {
    clearTimeout(timer);
    if (!to.readableEnded) from.destroy();
  });

  function send(chunk: Buffer | undefined, transferMs: number): void {
    wireFreeAt = Math.max(wireFreeAt, performance.now()) + transferMs;
    onTheWay.push({ chunk, dueAt: wireFreeAt + roundTripMs / 2 });
    timer ??= setTimeout(deliver, wireFreeAt + roundTripMs / 2 - performance.now());
  }

  function deliver(): void {
    timer = undefined;
    for (let next = onTheWay[0]; next !== undefined; next = onTheWay[0]) {
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0.5) {
        timer = setTimeout(deliver, waitMs);
        return;
      }
      onTheWay.shift();
      if (next.chunk === undefined) {
        to.end();
        return;
      }
      const { length } = next.chunk;
      // The receiver's own slowness holds the sender back too.
      to.write(next.chunk, () => {
        heldBytes -= length;
        if (heldBytes <= windowBytes) from.resume();
      });
    }
  }
}
