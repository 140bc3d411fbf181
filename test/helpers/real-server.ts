import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** How many of the last lines of the server's log an error quotes. */
const QUOTED_LINES = 20;

/** What makes a server of the Prometheus family. */
export interface RealServerOptions {
  readonly name: string;
  readonly program: string;
  readonly config: object;
  /** Beside the configuration and the address. @param data - A folder for the server's data. */
  readonly flags: (data: string) => readonly string[];
  /** The line of its log after which it replies. @default the line with its address */
  readonly readyLine?: string;
}

/** A server of the Prometheus family, on a port of the system's choice, with its configuration and data in a folder of its own. */
export class RealServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  static async start({ name, program, config, flags, readyLine }: RealServerOptions): Promise<RealServer> {
    const folder = await mkdtemp(join(tmpdir(), `${name.toLowerCase()}-`));
    const file = join(folder, 'config.yml');
    await writeFile(file, JSON.stringify(config));
    const child = spawn(
      program,
      [`--config.file=${file}`, '--web.listen-address=127.0.0.1:0', ...flags(join(folder, 'data'))],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    process.once('exit', () => child.kill('SIGKILL'));
    try {
      return new RealServer(await ready(child, name, readyLine), child, folder);
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
async function ready(child: ChildProcess, name: string, readyLine = ''): Promise<string> {
  const lines: string[] = [];
  return await new Promise<string>((resolve, reject) => {
    // The two lines come in either order.
    let address = '';
    let isReady = false;
    const failed = (why: string) => reject(new Error(`${name} ${why}:\n${lines.join('\n')}`));
    child.once('error', ({ message }) => failed(`could not be started (${message})`));
    child.once('exit', (code) => failed(`ended with ${code}`));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > QUOTED_LINES) lines.shift();
      const port = /Listening on.*address=127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined && port !== '0') address = `http://127.0.0.1:${port}`;
      isReady ||= line.includes(readyLine);
      if (address !== '' && isReady) resolve(address);
    });
  });
}
