import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { compiledFile, type ReachableUnleash } from './test-run.js';

/** The settings of an instance. */
export interface InstanceSettings {
  readonly apiUrl: string;
  readonly clientToken: string;
  readonly adminToken: string;
  readonly flagKey: string;
  readonly folder: string;
  readonly redisUrl: string;
  readonly requestsAtOnce: number;
  readonly flushTwice: boolean;
}

/** What an instance did. */
export interface InstanceReport {
  treatment: number;
  control: number;
  failures: number;
  lastTreatmentAt: number;
  served: number;
  unserved: number;
  /** No request is under way. */
  isIdle: boolean;
}

export type ToInstance = {
  readonly type: 'serve' | 'break' | 'fail-and-freeze' | 'fix' | 'pause' | 'report' | 'close';
};

export type FromInstance =
  | { readonly type: 'ready'; readonly instance: string }
  | { readonly type: 'decided'; readonly at: number; readonly by: string | undefined }
  | { readonly type: 'stopped-here' | 're-armed'; readonly at: number }
  | { readonly type: 'frozen' }
  | { readonly type: 'fault'; readonly message: string }
  | { readonly type: 'report'; readonly report: InstanceReport; readonly role: string };

/** A process of a fleet, seen from the test. */
export class FleetProcess {
  readonly folder: string;
  readonly messages: FromInstance[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.folder = folder;
    child.on('message', (message: FromInstance) => this.messages.push(message));
  }

  /** Resolves when its guard has started. */
  static async start(
    unleash: ReachableUnleash,
    redisUrl: string,
    folder: string,
    settings: { readonly flagKey: string; readonly requestsAtOnce?: number; readonly flushTwice?: boolean },
  ): Promise<FleetProcess> {
    const own = await mkdtemp(join(folder, 'instance-'));
    const { apiUrl, clientToken, adminToken } = unleash;
    const given: InstanceSettings = {
      ...{ apiUrl, clientToken, adminToken, redisUrl, folder: own },
      flagKey: settings.flagKey,
      requestsAtOnce: settings.requestsAtOnce ?? 10,
      flushTwice: settings.flushTwice ?? false,
    };
    const child = fork(await compiledFile('test/helpers/fleet-instance.ts'), {
      execArgv: [],
      env: { ...process.env, SETTINGS: JSON.stringify(given) },
    });
    const instance = new FleetProcess(child, own);
    await instance.#received('ready');
    return instance;
  }

  /** Its name in the fleet. */
  get instance(): string {
    return this.all('ready')[0]!.instance;
  }

  /** All messages of one type, in order. */
  all<T extends FromInstance['type']>(type: T): (FromInstance & { type: T })[] {
    return this.messages.filter((message): message is FromInstance & { type: T } => message.type === type);
  }

  send(type: ToInstance['type']): void {
    this.#child.send({ type });
  }

  async report(): Promise<FromInstance & { type: 'report' }> {
    const answer = this.#received('report', this.all('report').length + 1);
    this.send('report');
    return await answer;
  }

  /** The deltas that it has sent, in order; each is written down before it is sent. */
  get sent(): { readonly sequence: number; readonly totals: readonly (readonly [string, string])[] }[] {
    const lines = readFileSync(join(this.folder, 'sent.jsonl'), 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line));
  }

  /**
   * Lets it fail for a moment, and pauses it before it has sent that to anyone: nothing in it runs, as in a suspended container.
   */
  async failAndFreeze(): Promise<void> {
    const frozen = this.#received('frozen');
    this.send('fail-and-freeze');
    await frozen;
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.send('close');
    await ended;
  }

  #received<T extends FromInstance['type']>(type: T, times = 1): Promise<FromInstance & { type: T }> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.all(type)[times - 1];
        if (found === undefined) return;
        this.#child.off('message', check);
        this.#child.off('exit', gone);
        resolve(found);
      };
      const gone = (code: number | null) => reject(new Error(`The instance ended with ${code}.`));
      this.#child.on('message', check);
      this.#child.on('exit', gone);
    });
  }
}
