import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlReply, DecisionView } from '../../src/dashboard/api.js';
import { type DashboardOptions, resolveDashboardOptions } from '../../src/dashboard/dashboard-options.js';
import { DashboardServer } from '../../src/dashboard/server/dashboard-server.js';
import { PageFiles } from '../../src/dashboard/server/page-files.js';
import type { RolloutSource } from '../../src/dashboard/source.js';
import type { Control } from '../../src/model/control.js';
import type { RolloutView } from '../../src/model/rollout-view.js';
import type { RolloutHistory } from '../../src/rollups/rollup.js';
import { viewOf } from '../helpers/views.js';

/** A source whose contents a test sets. */
export class TestSource implements RolloutSource {
  readonly flagKey: string;
  readonly asked: Control[] = [];
  readonly control: RolloutSource['control'];
  isClosed = false;
  shown: RolloutView | Error | undefined;
  past: RolloutHistory = { rollups: [], annotations: [] };
  decided: readonly DecisionView[] = [];
  reads = 0;
  readonly listeners = new Set<() => void>();

  constructor(flagKey = 'async-upload', isControlled = true) {
    this.flagKey = flagKey;
    this.shown = viewOf({ flagKey });
    this.control = isControlled ? async (control) => this.#control(control) : undefined;
  }

  async view(): Promise<RolloutView | undefined> {
    this.reads++;
    if (this.shown instanceof Error) throw this.shown;
    return this.shown;
  }

  async history(): Promise<RolloutHistory> {
    return this.past;
  }

  async decisions(): Promise<readonly DecisionView[]> {
    return this.decided;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Shows another view to whoever reads. */
  change(overrides: Partial<RolloutView>): void {
    this.shown = viewOf({ flagKey: this.flagKey, ...overrides });
    for (const listener of this.listeners) listener();
  }

  #control(control: Control): ControlReply {
    this.asked.push(control);
    return { accepted: true, message: 'Done.' };
  }
}

/** A reply, whole. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on a free port that a test asks as it likes: paths and names are sent as they are. */
export class Served {
  readonly port: number;
  readonly #server: Server;
  readonly #closers: (() => unknown)[];

  private constructor(server: Server, closers: (() => unknown)[]) {
    this.#server = server;
    this.#closers = closers;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Any handler. */
  static async of(handle: Handle, ...closers: (() => unknown)[]): Promise<Served> {
    return Served.by(createServer(handle), ...closers);
  }

  static async by(server: Server, ...closers: (() => unknown)[]): Promise<Served> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Served(server, closers);
  }

  /** A dashboard of these sources, with a page of its own. */
  static async dashboard(
    sources: readonly RolloutSource[] | (() => readonly RolloutSource[]),
    options: DashboardOptions = {},
  ): Promise<Served> {
    const folder = await testPage();
    const list = typeof sources === 'function' ? sources : () => sources;
    const dashboard = new DashboardServer(list, resolveDashboardOptions(options), new PageFiles(folder));
    return Served.of(
      (request, response) => void dashboard.handle(request, response),
      () => dashboard.close(),
      () => rm(folder, { recursive: true, force: true }),
    );
  }

  async ask(path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Reply> {
    const response = await this.open(path, { method, headers, ...(body !== undefined && { body }) });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: Buffer.concat(chunks).toString('utf8'),
    };
  }

  async json<T>(path: string, asked?: Asked): Promise<T> {
    return JSON.parse((await this.ask(path, asked)).text) as T;
  }

  /** The reply as it begins. */
  async open(path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<IncomingMessage> {
    const asked = request({ port: this.port, host: '127.0.0.1', path, method, headers, agent: false });
    asked.end(body);
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return response;
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** The folder of a small page. */
export async function testPage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dashboard-page-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(join(folder, 'assets', 'index-Ab12_cd3.js'), `export const page = '${'x'.repeat(5_000)}';`);
  await writeFile(join(folder, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  return folder;
}

/** One server-sent event. */
export interface Sent {
  readonly event: string;
  readonly data: unknown;
  readonly at: number;
}

/** Reads a stream of server-sent events. */
export class EventReader {
  readonly sent: Sent[] = [];
  readonly comments: number[] = [];
  text = '';
  isEnded = false;
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    let rest = '';
    response.setEncoding('utf8');
    response.on('error', () => {});
    response.on('close', () => {
      this.isEnded = true;
    });
    response.on('data', (chunk: string) => {
      this.text += chunk;
      const parts = `${rest}${chunk}`.split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#add(part);
    });
  }

  static async open(served: Served, path = '/api/events', headers = {}): Promise<EventReader> {
    const response = await served.open(path, { headers });
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    return new EventReader(response);
  }

  of(event: string): Sent[] {
    return this.sent.filter((each) => each.event === event);
  }

  close(): void {
    this.#response.destroy();
  }

  #add(part: string): void {
    if (part.startsWith(':')) this.comments.push(performance.now());
    // Lines end as the standard says: what JavaScript calls a line end may be within one.
    const lines = part.split(/\r\n|\n|\r/);
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const [event, data] = [field('event'), field('data')];
    if (event === undefined || data === undefined) return;
    this.sent.push({ event, data: JSON.parse(data), at: performance.now() });
  }
}
