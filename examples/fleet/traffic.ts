import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, fetch } from 'undici';
import type { Answers } from './evidence.js';
import type { FleetProcess } from './fleet-process.js';
import { type Counts, count, noCounts, preciseNow } from './messages.js';
import type { Receipt } from './service.js';

/** Of the whole fleet; about a tenth of it uses the new path. */
export const UPLOADS_PER_SECOND = 240;
const TURN_MS = 25;
/** A crowd that waits for longer than usual does not grow. */
const MOST_AT_ONCE = 200;
const USERS = 20_000;
const TIMEOUT_MS = 5_000;

/** Users who upload over HTTP, in turn to every process that lives, as behind a load balancer. */
export class Traffic {
  readonly #processes: readonly FleetProcess[];
  readonly #connections = new Agent({ connections: 32 });
  readonly #content = randomBytes(100_000);
  readonly #perProcess = new Map<FleetProcess, Counts>();
  readonly #failures: number[] = [];
  #right = 0;
  #wrong = 0;
  #movedOn = 0;
  #turn = 0;
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(processes: readonly FleetProcess[]) {
    this.#processes = processes;
    for (const process of processes) this.#perProcess.set(process, noCounts());
  }

  get answers(): Answers {
    return { right: this.#right, wrong: this.#wrong, movedOn: this.#movedOn };
  }

  /** By the receipts that this process gave. */
  countsOf(process: FleetProcess): Counts {
    return this.#perProcess.get(process)!;
  }

  /** When the first user since then was served by the old path because the new one had failed. */
  firstFallback(since: number): number | undefined {
    return this.#failures.find((at) => at >= since);
  }

  start(): void {
    let due = 0;
    let before = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      // A machine that was busy does not make up for it with a rush.
      due += Math.min(now - before, 4 * TURN_MS) * (UPLOADS_PER_SECOND / 1_000);
      before = now;
      for (; due >= 1; due--) if (this.#underWay < MOST_AT_ONCE) void this.#uploadOne();
    }, TURN_MS);
  }

  /** No new uploads; resolves when those under way have ended. */
  async pause(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#underWay > 0) await sleep(5);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#connections.destroy();
  }

  async #uploadOne(): Promise<void> {
    this.#underWay++;
    const turn = this.#turn++;
    const start = (turn * 97) % (this.#content.length / 2);
    const content = this.#content.subarray(start, start + 20_000 + (turn % 20_000));
    const sha256 = createHash('sha256').update(content).digest('hex');
    const isRight = await this.#send(`user-${turn % USERS}`, content, turn).then(
      (receipt) => receipt.sha256 === sha256,
      () => false,
    );
    if (isRight) this.#right++;
    else this.#wrong++;
    this.#underWay--;
  }

  async #send(user: string, body: Buffer, turn: number): Promise<Receipt> {
    for (let attempt = 0; ; attempt++) {
      const alive = this.#processes.filter(({ isAlive }) => isAlive);
      const process = alive[(turn + attempt) % alive.length]!;
      const response = await fetch(`${process.url}/upload`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/octet-stream', 'x-user-id': user },
        dispatcher: this.#connections,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch((error) => {
        // What a load balancer does when a connection breaks.
        if (attempt < 2) return undefined;
        throw error;
      });
      if (response === undefined) {
        this.#movedOn++;
        continue;
      }
      if (response.status !== 200) throw new Error(await response.text());
      const receipt = (await response.json()) as Receipt;
      count(this.countsOf(process), receipt.tried);
      if (receipt.tried.length > 1) this.#failures.push(preciseNow());
      return receipt;
    }
  }
}
