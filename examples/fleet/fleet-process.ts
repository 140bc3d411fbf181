import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { GuardStatus } from 'unleash-rollout-guard';
import type { FromInstance, InstanceReport, InstanceSettings, Moment, ToInstance } from './messages.js';

/** How long a process may take to end in good order. */
const CLOSE_MS = 4_000;

/** One process of the fleet, seen from the one that plays with it. */
export class FleetProcess {
  /** `p1`, `p2` and so on. */
  readonly name: string;
  readonly mayLead: boolean;
  /** Everything its guard has reported so far. */
  readonly moments: Moment[] = [];
  /** What did not work in it. */
  readonly faults: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #url: string | undefined;

  /** Starts it; it waits for its settings. */
  constructor(name: string, mayLead: boolean) {
    this.name = name;
    this.mayLead = mayLead;
    this.#child = fork(fileURLToPath(new URL('./instance.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
    });
    this.#ended = once(this.#child, 'exit');
    this.#child.on('message', (message: FromInstance) => {
      if (message.type === 'moment') this.moments.push(message);
      if (message.type === 'fault') this.faults.push(message.message);
      if (message.type === 'redis-away') console.log(`  ${this.name}: Redis is away: ${message.message}`);
    });
  }

  /** Where it listens. */
  get url(): string {
    return this.#url!;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Lets it connect to Unleash and Redis; resolves when it serves. */
  async serve(settings: InstanceSettings): Promise<void> {
    const ready = this.#received('ready');
    this.#child.send(settings);
    this.#url = (await ready).url;
  }

  /** Breaks or fixes its new path. */
  send(type: ToInstance['type']): void {
    this.#child.send({ type });
  }

  /** Its report of what it did. */
  async report(): Promise<InstanceReport> {
    const answer = this.#received('report');
    this.send('report');
    return (await answer).report;
  }

  /** Its guard's status, as the service serves it. */
  async status(): Promise<GuardStatus> {
    const response = await fetch(`${this.url}/rollout`);
    return (await response.json()) as GuardStatus;
  }

  /** What its guard reported first since then. */
  first(what: Moment['what'], since: number): Moment | undefined {
    return this.moments.find((moment) => moment.what === what && moment.at >= since);
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Ends it in good order, or, where that takes too long, at once. */
  async close(): Promise<void> {
    if (!this.isAlive) return;
    // One that does not serve yet has nothing to put in order.
    if (this.#url === undefined) return await this.kill();
    if (this.#child.connected) this.send('close');
    await Promise.race([this.#ended, sleep(CLOSE_MS, undefined, { ref: false })]);
    if (this.isAlive) await this.kill();
  }

  #received<T extends FromInstance['type']>(type: T): Promise<FromInstance & { type: T }> {
    return new Promise((resolve, reject) => {
      const listen = (message: FromInstance) => {
        if (message.type !== type) return;
        this.#child.off('message', listen);
        this.#child.off('exit', gone);
        resolve(message as FromInstance & { type: T });
      };
      const gone = (code: number | null) => reject(new Error(`${this.name} ended with ${code}.`));
      this.#child.on('message', listen);
      this.#child.on('exit', gone);
    });
  }
}
