import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** How many of Prometheus' last lines an error quotes. */
const QUOTED_LINES = 20;

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
export class RealPrometheus {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(program: string, target: string): Promise<RealPrometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
    const config = join(folder, 'prometheus.yml');
    await writeFile(
      config,
      JSON.stringify({
        global: { scrape_interval: '1s', scrape_timeout: '1s' },
        scrape_configs: [{ job_name: 'service', static_configs: [{ targets: [target] }] }],
      }),
    );
    const child = spawn(
      program,
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    process.once('exit', () => child.kill('SIGKILL'));
    try {
      return new RealPrometheus(await ready(child), child, folder);
    } catch (error) {
      child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The address, when it is ready to reply. The port is the system's choice, and only the log shows it. */
async function ready(child: ChildProcess): Promise<string> {
  const lines: string[] = [];
  return await new Promise<string>((resolve, reject) => {
    let address = '';
    const failed = (why: string) => reject(new Error(`Prometheus ${why}:\n${lines.join('\n')}`));
    child.once('error', ({ message }) => failed(`could not be started (${message})`));
    child.once('exit', (code) => failed(`ended with ${code}`));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > QUOTED_LINES) lines.shift();
      const port = /Listening on.*address=127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined && port !== '0') address = `http://127.0.0.1:${port}`;
      if (line.includes('Server is ready to receive web requests')) resolve(address);
    });
  });
}
