import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { RolloutView } from '../../src/model/rollout-view.js';
import { compiledFile, type SharedUnleash } from '../helpers/test-run.js';

/** What operators of the examples sign in to the dashboard with. */
const DASHBOARD_TOKEN = 'a-token-of-operators';

/** The flag has been turned off by now, on a busy machine too. */
const STOP_MS = 40_000;

/** What a user of an example got. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** An example that runs as a program, in a folder of its own, with the shared Unleash. */
export class ExampleService implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #output: () => string;

  private constructor(url: string, child: ChildProcess, folder: string, output: () => string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
    this.#output = output;
  }

  /** Resolves when it listens. */
  static async start(
    program: string,
    unleash: SharedUnleash,
    env: Readonly<Record<string, string>>,
  ): Promise<ExampleService> {
    const file = await compiledFile(program);
    const folder = await mkdtemp(join(tmpdir(), 'example-'));
    const child = spawn(process.execPath, [file], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        TMPDIR: folder, // Where unleash-client keeps its backup.
        PORT: '0',
        UNLEASH_URL: unleash.apiUrl,
        UNLEASH_ENVIRONMENT: unleash.environment,
        UNLEASH_CLIENT_TOKEN: unleash.clientToken,
        UNLEASH_ADMIN_TOKEN: unleash.adminToken,
        DASHBOARD_TOKEN,
        ...env,
      },
    });
    process.once('exit', () => child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    const port = await vi.waitFor(
      () => {
        if (child.exitCode !== null) return 0;
        const found = /^Listening: .*?(\d+)\D*$/m.exec(output)?.[1];
        if (found === undefined) throw new Error(`${program} does not listen:\n${output}`);
        return found;
      },
      { timeout: 60_000, interval: 20 },
    );
    if (port === 0) throw new Error(`${program} ended with ${child.exitCode}:\n${output}`);
    return new ExampleService(`http://127.0.0.1:${port}`, child, folder, () => output);
  }

  /** Everything that it has written to its output. */
  get output(): string {
    return this.#output();
  }

  async ask(path: string, user?: string): Promise<Answer> {
    const headers = user === undefined ? {} : { 'x-user-id': user };
    const response = await fetch(this.url + path, { headers });
    return { status: response.status, text: await response.text() };
  }

  /** One request of each of so many users at once. */
  askAs(users: number, path: string): Promise<Answer[]> {
    return Promise.all(Array.from({ length: users }, (_, user) => this.ask(path, `user-${user}`)));
  }

  /** A request to the dashboard, signed in. */
  dashboard(path: string): Promise<Response> {
    return fetch(`${this.url}/rollouts/${path}`, { headers: { authorization: `Bearer ${DASHBOARD_TOKEN}` } });
  }

  async view(flagKey: string): Promise<RolloutView> {
    return (await (await this.dashboard(`api/flags/${flagKey}`)).json()) as RolloutView;
  }

  /** Asks for all users until Unleash has the flag off. Returns what the users got. */
  async askUntilOff(unleash: SharedUnleash, flagKey: string, path: string): Promise<Answer[]> {
    const answers: Answer[] = [];
    await vi.waitFor(
      async () => {
        answers.push(...(await this.askAs(20, path)));
        expect(await unleash.flag(flagKey), this.output).toMatchObject({ enabled: false });
      },
      { timeout: STOP_MS, interval: 50 },
    );
    return answers;
  }

  /** Ends it as an orchestrator does. Returns its exit code. */
  async terminate(): Promise<number | null> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    return (await ended)[0] as number | null;
  }

  /** The summary that a closed guard leaves. */
  async summary(flagKey: string): Promise<unknown> {
    const file = join(this.#folder, `logs/${flagKey.replaceAll('-', '_')}_rollout/summary.json`);
    return JSON.parse(await readFile(file, 'utf8'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The service that an example asks: each path answers with its own name, until it is broken. */
export class Backend implements AsyncDisposable {
  readonly url: string;
  /** Paths that answer 500. */
  broken: RegExp | undefined;
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  static async start(): Promise<Backend> {
    const server = createServer();
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    return new Backend(server);
  }

  /** How many requests with `q=slow` wait for {@link release}. */
  get waiting(): number {
    return this.#waiting.length;
  }

  release(): void {
    for (const answer of this.#waiting.splice(0)) answer();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url!, this.url);
    const query = searchParams.get('q');
    const answer = () => {
      const status = this.broken?.test(pathname) ? 500 : query === '' ? 400 : 200;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ from: pathname }));
    };
    if (query === 'slow') this.#waiting.push(answer);
    else answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}
