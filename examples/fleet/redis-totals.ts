import { createClient } from 'redis';
import { type Counts, noCounts } from './messages.js';

/** How long Redis may take to answer the first time. */
const CONNECT_MS = 3_000;

/** The fleet's totals in Redis, read as any client can read them (docs/fleet.md). */
export class FleetTotals {
  readonly #client: ReturnType<typeof createClient>;
  /** The beginning of all keys of the flag. */
  readonly #base: string;

  private constructor(client: ReturnType<typeof createClient>, base: string) {
    this.#client = client;
    this.#base = base;
  }

  static async connect(url: string, base: string): Promise<FleetTotals> {
    const client = createClient({ url, socket: { connectTimeout: CONNECT_MS, reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    return new FleetTotals(client as ReturnType<typeof createClient>, base);
  }

  /** Of all epochs. */
  async read(): Promise<Counts> {
    const sum = noCounts();
    for (const key of await this.#keys('totals:*')) {
      const totals = await this.#client.hGetAll(key);
      const total = (field: string) => Number(totals[field] ?? 0);
      sum.streamed += total('successes:treatment');
      sum.fellBack += total('failures:treatment');
      sum.buffered += total('successes:control') + total('failures:control');
    }
    return sum;
  }

  /** Removes the fleet's keys. */
  async close(): Promise<void> {
    try {
      for (const key of await this.#keys('*')) await this.#client.unlink(key);
    } finally {
      this.#client.destroy();
    }
  }

  async #keys(pattern: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const found of this.#client.scanIterator({
      MATCH: `${this.#base}:${pattern}`,
      COUNT: 1_000,
    })) {
      keys.push(...found);
    }
    return [...new Set(keys)];
  }
}
