import type { RedisServer } from '../../examples/fleet/redis-server.js';
import type { EmbeddedUnleash } from '../../src/testing/index.js';
import type { BreakableLink } from '../helpers/breakable-link.js';
import type { Backend } from './backend.js';
import type { FaultyProxy } from './faulty-proxy.js';
import type { Load } from './load.js';
import type { ServiceProcess } from './service-process.js';

export type FaultArea = 'none' | 'admin API' | 'client API' | 'disk' | 'process' | 'clock' | 'Redis' | 'TLS';

/** A service under load with everything around it, for one fault. */
export interface World {
  readonly unleash: EmbeddedUnleash;
  readonly flagKey: string;
  /** Of the guard of the first process. */
  readonly folder: string;
  /** Unleash as the guard and as the provider reach it. */
  readonly admin: FaultyProxy;
  readonly client: FaultyProxy;
  readonly backend: Backend;
  readonly load: Load;
  readonly processes: readonly ServiceProcess[];
  /** The only one; or the master and its replica; or the nodes of the cluster. */
  readonly redis: readonly RedisServer[];
  /** The way to the first Redis, where there is one. */
  readonly redisLink: BreakableLink | undefined;
  /** Of Unleash's address, where that has one. */
  readonly certificate: { readonly expiresAt: number; renew(): Promise<void> } | undefined;
  /** Called at the end, the last one first. */
  onEnd(undo: () => unknown): void;
}

/** What surrounds the service, where it differs from one process without a fleet. */
export interface Setup {
  /** @default 1, or 2 with a Redis */
  readonly processes?: number;
  readonly redis?: 'single' | 'replica' | 'cluster';
  /** Arguments of redis-server. */
  readonly redisArgs?: readonly string[];
  /** Unleash is behind HTTPS, with a certificate that lasts so long, in milliseconds. */
  readonly certificateMs?: number;
  /** Permissions of files hold for the service, even when this program runs as root. */
  readonly isUnprivileged?: boolean;
  /** How long the backend needs for an answer, in milliseconds. @default 20 */
  readonly backendMs?: number;
  /** The operation's time limit, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number;
  /** Prepares the folder. */
  readonly prepare?: (folder: string, onEnd: World['onEnd']) => Promise<void>;
}

/** What must be true of a fault. Times are milliseconds. */
export interface Expectation {
  /** Requests of users that may fail. @default 0 */
  readonly failed: number;
  /**
   * The share of users' requests that may take a second longer than without a guard: one pause of a process that shares
   * its core with others. @default 0.1
   */
  readonly delayed: number;
  /** From the moment when the treatment breaks until no user gets it any more. @default 5_000 */
  readonly stopMs: number;
  /** From then, or from the end of the fault if it is later, until the flag is off in Unleash. @default 20_000 */
  readonly offMs: number;
  /** From the moment when an operator turns the flag on until all processes serve the treatment again. @default 10_000 */
  readonly reArmMs: number;
  /** From the moment when an operator turns the flag off until no user gets the treatment. @default 10_000 */
  readonly operatorOffMs: number;
  /** Decisions for one broken treatment: one; or where processes cannot reach each other, one of each. @default 'one' */
  readonly decisions: 'one' | 'one of each process';
  /** What the events and notifications of the fault must say; undefined where nothing is to be reported. */
  readonly message: RegExp | undefined;
  /** Of the outcomes that there were, the share that is evaluated after the fault. @default 0.9 */
  readonly counted: number;
  /** How much more memory a process may need than before the fault, in MB. @default 100 */
  readonly memoryMb: number;
}

/** A row of the fault matrix. */
export interface Fault {
  readonly name: string;
  readonly area: FaultArea;
  /** In the short form too, which CI runs. @default false */
  readonly isShort?: boolean;
  readonly setup?: Setup;
  /** Programs that it needs; without them it is skipped, with a line. */
  readonly needs?: readonly string[];
  /** Only root can inject it. */
  readonly needsRoot?: boolean;
  /**
   * When the treatment breaks: during the fault, or after it; or during it, and the fault ends only when an operator has
   * turned the flag on again. @default 'during'
   */
  readonly breaks?: 'during' | 'after' | 'before the operator';
  /** How long it lasts before the treatment breaks or it ends, in milliseconds. @default 2_000 */
  readonly lastsMs?: number;
  readonly inject: (world: World) => unknown;
  /** Nothing for a fault that is over at once. */
  readonly heal?: (world: World) => unknown;
  readonly expect?: Partial<Expectation>;
  /** A further check at the end. @returns what is wrong. */
  readonly verify?: (world: World) => Promise<string | undefined>;
}

const DEFAULTS: Expectation = {
  failed: 0,
  delayed: 0.1,
  stopMs: 5_000,
  offMs: 20_000,
  reArmMs: 10_000,
  operatorOffMs: 10_000,
  decisions: 'one',
  message: undefined,
  counted: 0.9,
  memoryMb: 100,
};

export function expectationOf(fault: Fault): Expectation {
  return { ...DEFAULTS, ...fault.expect };
}
