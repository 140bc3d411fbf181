import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { Backend } from './backend.js';

const INTERVAL_MS = 50;
const REMEMBERED = 8_000;

/** How long the same requests need in a service without a guard, at the same time on the same machine. */
export class MachineNoise implements AsyncDisposable {
  readonly #ended: { readonly at: number; readonly tookMs: number }[] = [];
  readonly #pending = new Set<number>();
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    const agent = new Agent({ keepAlive: true });
    const timer = setInterval(() => this.#send(url, agent), INTERVAL_MS);
    this.#close = async () => {
      clearInterval(timer);
      agent.destroy();
      await close();
    };
  }

  /** @param program - The compiled service without a guard. */
  static async start(program: string): Promise<MachineNoise> {
    const backend = await Backend.start();
    const child = fork(program, { execArgv: [], env: { ...process.env, BACKEND_URL: backend.url } });
    const [url] = (await once(child, 'message')) as [string];
    return new MachineNoise(url, async () => {
      child.disconnect();
      await backend[Symbol.asyncDispose]();
    });
  }

  /** The longest that one of its requests took which was under way since then, in milliseconds. */
  slowestSince(at: number): number {
    let slowest = 0;
    for (let index = this.#ended.length - 1; index >= 0 && this.#ended[index]!.at >= at; index--) {
      slowest = Math.max(slowest, this.#ended[index]!.tookMs);
    }
    const now = performance.now();
    for (const startedAt of this.#pending) slowest = Math.max(slowest, now - startedAt);
    return slowest;
  }

  /** Such a part of its requests since then took no longer, in milliseconds. */
  quantile(share: number, since = 0): number {
    const ended = this.#ended.filter(({ at }) => at >= since);
    const sorted = ended.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  #send(url: string, agent: Agent): void {
    const startedAt = performance.now();
    this.#pending.add(startedAt);
    const end = () => {
      if (!this.#pending.delete(startedAt)) return;
      const at = performance.now();
      this.#ended.push({ at, tookMs: at - startedAt });
      if (this.#ended.length > 2 * REMEMBERED) this.#ended.splice(0, REMEMBERED);
    };
    get(url, { agent }, (answer) => answer.on('end', end).on('error', end).resume()).on('error', end);
  }
}
