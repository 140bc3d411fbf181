import type { RedisServer } from '../../examples/fleet/redis-server.js';

type Client = Awaited<ReturnType<RedisServer['client']>>;

/** What Redis has done since its start. */
interface Totals {
  readonly at: number;
  /** Scripts that were called, which is what processes send. */
  readonly scripts: number;
  /** Commands that were run, by scripts too. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuMs: number;
}

/** What Redis did in a second of a period. */
export interface RedisUsage {
  readonly seconds: number;
  readonly scripts: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of its one thread that runs commands, in milliseconds. */
  readonly cpuMs: number;
  /** The most that was in use when it was measured, in bytes. */
  readonly memoryBytes: number;
}

/** Reads from Redis' own statistics what it costs. */
export class RedisMeter {
  readonly #client: Client;
  #from: Totals | undefined;
  #memoryBytes = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  async start(): Promise<void> {
    this.#memoryBytes = 0;
    this.#watch = setInterval(() => void this.#measure().catch(() => {}), 500);
    this.#from = await this.#measure();
  }

  async stop(): Promise<RedisUsage> {
    clearInterval(this.#watch);
    const [from, to] = [this.#from!, await this.#measure()];
    const seconds = (to.at - from.at) / 1_000;
    const perSecond = (field: keyof Totals) => (to[field] - from[field]) / seconds;
    return {
      seconds,
      scripts: perSecond('scripts'),
      commands: perSecond('commands'),
      bytesIn: perSecond('bytesIn'),
      bytesOut: perSecond('bytesOut'),
      cpuMs: perSecond('cpuMs'),
      memoryBytes: this.#memoryBytes,
    };
  }

  async #measure(): Promise<Totals> {
    const text = await this.#client.info('all');
    const at = performance.now();
    const found = new Map(text.split('\r\n').map((line) => line.split(':', 2) as [string, string]));
    const number = (name: string) => Number(found.get(name) ?? 0);
    const calls = (name: string) => Number(/calls=(\d+)/.exec(found.get(`cmdstat_${name}`) ?? '')?.[1] ?? 0);
    this.#memoryBytes = Math.max(this.#memoryBytes, number('used_memory'));
    const thread = number('used_cpu_user_main_thread') + number('used_cpu_sys_main_thread');
    const cpu = thread > 0 ? thread : number('used_cpu_user') + number('used_cpu_sys');
    return {
      at,
      scripts: calls('evalsha') + calls('eval'),
      commands: number('total_commands_processed'),
      bytesIn: number('total_net_input_bytes'),
      bytesOut: number('total_net_output_bytes'),
      cpuMs: cpu * 1_000,
    };
  }
}
