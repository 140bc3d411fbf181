/** Connections that listen as instances do, of which nobody reads what comes: their instances would have processors of their own. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { serve } from './child.js';

interface Start {
  readonly url: string;
  readonly channel: string;
  readonly count: number;
}

const handlers = {
  async start({ url, channel, count }: Start) {
    const { hostname, port } = new URL(url);
    for (let i = 0; i < count; i++) {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.write(`*2\r\n$9\r\nSUBSCRIBE\r\n$${channel.length}\r\n${channel}\r\n`);
      // The messages of a whole bench fit into the buffers of the system.
      await once(socket, 'data');
      socket.pause();
    }
  },
};

export type Listeners = typeof handlers;
serve(handlers);
