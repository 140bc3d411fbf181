import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RealServer } from './real-server.js';

/** A service with one gauge, `upload_queue_depth`, on two queues. */
export class MeteredService {
  depth = 5;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((_, response) => {
      const gauge = (queue: string, depth: number) => `upload_queue_depth{queue="${queue}"} ${depth}\n`;
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end(`# TYPE upload_queue_depth gauge\n${gauge('large', this.depth)}${gauge('small', 1)}`);
    });
  }

  static async start(): Promise<MeteredService> {
    const service = new MeteredService();
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  get target(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

/** A Prometheus that scrapes one target each second and keeps its data in a folder of its own. */
export function startPrometheus(program: string, target: string): Promise<RealServer> {
  return RealServer.start({
    name: 'Prometheus',
    program,
    flags: (data) => [`--storage.tsdb.path=${data}`],
    config: {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'service', static_configs: [{ targets: [target] }] }],
    },
    readyLine: 'Server is ready to receive web requests',
  });
}
