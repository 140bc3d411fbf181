import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, FormData, fetch } from 'undici';
import type { LoopbackProvider } from '../upload-service/loopback-provider.js';

/** What one user got for one upload. Times are milliseconds since 1970. */
export interface Upload {
  readonly userId: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** The service answered 201, and the provider has exactly the bytes that the user sent. */
  readonly ok: boolean;
  readonly via: string | undefined;
}

interface DemoFile {
  readonly name: string;
  readonly content: Buffer<ArrayBuffer>;
  readonly sha256: string;
}

/** Users at work at the same time. */
const CONCURRENCY = 8;

/** A crowd of users who upload real files to the service over HTTP, and check what became of them. */
export class Traffic {
  readonly #serviceUrl: string;
  readonly #provider: LoopbackProvider;
  readonly #users: readonly string[];
  readonly #files: readonly DemoFile[];
  readonly #connections = new Agent({ connections: CONCURRENCY });
  #turn = 0;

  private constructor(
    serviceUrl: string,
    provider: LoopbackProvider,
    users: readonly string[],
    files: DemoFile[],
  ) {
    this.#serviceUrl = serviceUrl;
    this.#provider = provider;
    this.#users = users;
    this.#files = files;
  }

  /** Gathers the users, and the files that they send: some of this project's own, and a binary one. */
  static async gather(serviceUrl: string, provider: LoopbackProvider, userCount: number): Promise<Traffic> {
    const users = Array.from({ length: userCount }, (_, index) => `user-${index + 1}`);
    const own = ['../../LICENSE', '../../package.json', '../../package-lock.json', './traffic.ts'];
    const files = await Promise.all(
      own.map(async (path) => demoFile(path, await readFile(new URL(path, import.meta.url)))),
    );
    return new Traffic(serviceUrl, provider, users, [...files, demoFile('photo.bin', randomBytes(500_000))]);
  }

  /** How many users there are. */
  get userCount(): number {
    return this.#users.length;
  }

  /** Every user uploads one file. */
  async everyUserOnce(onUpload: (upload: Upload) => void): Promise<void> {
    let left = this.userCount;
    await this.#work(() => left-- > 0, onUpload);
  }

  /** Users upload, one after another, while `shouldContinue` is true. */
  async keepComing(shouldContinue: () => boolean, onUpload: (upload: Upload) => void): Promise<void> {
    await this.#work(shouldContinue, onUpload);
  }

  /** One upload, by the user whose turn it is. */
  async uploadOne(): Promise<Upload> {
    const turn = this.#turn++;
    const userId = this.#users[turn % this.#users.length]!;
    const file = this.#files[turn % this.#files.length]!;
    const startedAt = Date.now();
    const answer = await this.#post(userId, file).catch(() => undefined);
    const stored = this.#provider.received.findLast(({ id }) => id === answer?.id);
    const ok = stored?.sha256 === file.sha256 && stored.fileName === file.name;
    return { userId, startedAt, endedAt: Date.now(), ok, via: answer?.via };
  }

  /** Ends the users' connections. */
  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #work(shouldContinue: () => boolean, onUpload: (upload: Upload) => void): Promise<void> {
    const worker = async () => {
      while (shouldContinue()) onUpload(await this.uploadOne());
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  async #post(userId: string, file: DemoFile): Promise<{ id: string; via: string } | undefined> {
    const body = new FormData();
    body.append('file', new Blob([file.content]), file.name);
    const response = await fetch(`${this.#serviceUrl}/upload`, {
      method: 'POST',
      body,
      headers: { 'x-user-id': userId },
      dispatcher: this.#connections,
    });
    const answer = await response.json();
    return response.status === 201 ? (answer as { id: string; via: string }) : undefined;
  }
}

function demoFile(path: string, content: Buffer<ArrayBuffer>): DemoFile {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { name, content, sha256: createHash('sha256').update(content).digest('hex') };
}
