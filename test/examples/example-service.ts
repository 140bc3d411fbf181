import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RolloutView } from '../../src/model/rollout-view.js';
import { compiledFile, type SharedUnleash } from '../helpers/test-run.js';
import { ExampleProcess, unleashVariables, until } from './example-process.js';

/** What operators of the examples sign in to the dashboard with. */
const DASHBOARD_TOKEN = 'a-token-of-operators';

/** What a user of an example got. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** An example that serves HTTP, with the shared Unleash. */
export class ExampleService implements AsyncDisposable {
  readonly url: string;
  readonly #process: ExampleProcess;

  private constructor(url: string, process: ExampleProcess) {
    this.url = url;
    this.#process = process;
  }

  /** Resolves when it listens. */
  static async start(
    program: string,
    unleash: SharedUnleash,
    env: Readonly<Record<string, string>>,
  ): Promise<ExampleService> {
    const variables = { PORT: '0', DASHBOARD_TOKEN, ...unleashVariables(unleash), ...env };
    const started = await ExampleProcess.start([await compiledFile(program)], variables);
    const port = await until(() => {
      const found = /^Listening: .*?(\d+)\D*$/m.exec(started.said)?.[1];
      if (found === undefined && !started.hasEnded) throw new Error('It does not listen.');
      return found;
    }).catch(() => undefined);
    if (port !== undefined) return new ExampleService(`http://127.0.0.1:${port}`, started);
    await started[Symbol.asyncDispose]();
    throw new Error(`${program} does not listen:\n${started.said}`);
  }

  /** Everything that it has written to its output. */
  get output(): string {
    return this.#process.said;
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
    await until(async () => {
      answers.push(...(await this.askAs(20, path)));
      expect(await unleash.flag(flagKey), this.output).toMatchObject({ enabled: false });
    });
    return answers;
  }

  /** Ends it as an orchestrator does. Returns its exit code. */
  terminate(): Promise<number | null> {
    return this.#process.ends();
  }

  /** The summary that a closed guard leaves. */
  async summary(flagKey: string): Promise<unknown> {
    const file = join(this.#process.folder, `logs/${flagKey.replaceAll('-', '_')}_rollout/summary.json`);
    return JSON.parse(await readFile(file, 'utf8'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
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
