import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const QUOTED_LINES = 20;

/** An Alertmanager that sends every alert to one webhook, at once. */
export class RealAlertmanager {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  /** @param receiver - Where it sends alerts, and with which token. */
  static async start(
    program: string,
    receiver: { readonly url: string; readonly token: string },
  ): Promise<RealAlertmanager> {
    const folder = await mkdtemp(join(tmpdir(), 'alertmanager-'));
    const config = join(folder, 'alertmanager.yml');
    await writeFile(
      config,
      JSON.stringify({
        route: {
          receiver: 'guard',
          group_by: ['alertname'],
          group_wait: '100ms',
          group_interval: '200ms',
          // It repeats with the next interval of a group after this time.
          repeat_interval: '1s',
        },
        receivers: [
          {
            name: 'guard',
            webhook_configs: [
              {
                url: receiver.url,
                send_resolved: true,
                http_config: { authorization: { type: 'Bearer', credentials: receiver.token } },
              },
            ],
          },
        ],
      }),
    );
    const child = spawn(
      program,
      [
        `--config.file=${config}`,
        `--storage.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
        '--cluster.listen-address=',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    process.once('exit', () => child.kill('SIGKILL'));
    try {
      return new RealAlertmanager(await ready(child), child, folder);
    } catch (error) {
      child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** What Prometheus sends when an alert fires, or with an end in the past when it is resolved. */
  async post(labels: Record<string, string>, summary: string, startsAt: Date, endsAt?: Date): Promise<void> {
    const response = await fetch(`${this.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations: { summary }, startsAt, endsAt }]),
    });
    if (!response.ok) throw new Error(`Alertmanager answered ${response.status}: ${await response.text()}`);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The address, when it is ready to reply. The port is the system's choice, and only the log shows it. */
async function ready(child: ChildProcess): Promise<string> {
  const lines: string[] = [];
  return await new Promise<string>((resolve, reject) => {
    const failed = (why: string) => reject(new Error(`Alertmanager ${why}:\n${lines.join('\n')}`));
    child.once('error', ({ message }) => failed(`could not be started (${message})`));
    child.once('exit', (code) => failed(`ended with ${code}`));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      lines.push(line);
      if (lines.length > QUOTED_LINES) lines.shift();
      const port = /Listening on.*address=127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
    });
  });
}
