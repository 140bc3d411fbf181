import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Serves the two paths of the operation: `/new` is the treatment's, and can be broken. */
export class Backend implements AsyncDisposable {
  /** How long an answer takes, in milliseconds. */
  delayMs = 20;
  /** When the latest request for the new path came, by `performance.now()`. */
  lastNewAt = 0;
  /** How many users got the broken path. */
  brokenCalls = 0;
  #isBroken = false;
  readonly #server = createServer((request, response) => {
    const isNew = request.url!.startsWith('/new');
    if (isNew) {
      this.lastNewAt = performance.now();
      if (this.#isBroken) this.brokenCalls++;
    }
    const status = isNew && this.#isBroken ? 500 : 200;
    setTimeout(() => response.writeHead(status).end(isNew ? 'new' : 'old'), this.delayMs);
  });

  static async start(): Promise<Backend> {
    const backend = new Backend();
    // Longer than any fault: a service would else meet connections that end just when it uses them.
    backend.#server.keepAliveTimeout = 600_000;
    // A request that a frozen service has half sent is not answered with 408.
    backend.#server.requestTimeout = 0;
    backend.#server.headersTimeout = 0;
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  break(): void {
    this.#isBroken = true;
  }

  fix(): void {
    this.#isBroken = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
