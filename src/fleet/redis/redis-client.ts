import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { ConfigError, hasMethods } from '../../support/config-error.js';
import { withDeadline } from '../../support/deadline.js';
import { requirePackage } from '../../support/require-package.js';
import { jittered } from '../../support/retry.js';
import { FleetError } from '../fleet-link.js';
import { SHORT_PAUSE_MS } from '../spread.js';
import type { RedisScript } from './script.js';

/** What is needed of a client of the `redis` package, version 5 or later: `createClient()` and `createCluster()` fit. */
export interface RedisClient {
  /** Runs a script that the server has, by its SHA-1 digest. */
  evalSha(digest: string, options: RedisScriptOptions): Promise<unknown>;
  /** Runs a script by its text. */
  eval(text: string, options: RedisScriptOptions): Promise<unknown>;
  /** Another client of the same options: what subscribes can send no other command. */
  duplicate(): RedisClient;
  /** Connects; resolves when the server answers. */
  connect(): Promise<unknown>;
  /** Calls the listener with each message of a channel. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** Ends a subscription; without this method it lasts as long as the client. */
  unsubscribe?(channel: string, listener: (message: string | Buffer) => void): Promise<unknown>;
  /**
   * `error`: connection errors; without a listener such an event would end the process. `ready` (of a cluster: `node-ready`): it is
   * connected, and has subscribed again.
   */
  on(event: 'error' | 'ready' | 'node-ready', listener: (error: Error) => void): unknown;
  /** Closes the connection at once, without waiting for replies. */
  destroy(): void;
}

/** What a script runs on. */
export interface RedisScriptOptions {
  /** The keys that the script touches, which decide its node in a cluster. */
  readonly keys: string[];
  /** Further arguments. */
  readonly arguments: string[];
}

/** The oldest version of `redis` and `@redis/client` whose clients fit. */
const OLDEST = 5;

const CLIENT_METHODS = ['evalSha', 'eval', 'duplicate', 'connect', 'subscribe', 'on', 'destroy'] as const;

/** Whether a value has the methods of {@link RedisClient}. */
export function isRedisClient(value: unknown): value is RedisClient {
  return typeof value === 'object' && value !== null && hasMethods(value, CLIENT_METHODS);
}

/** The part of the package that is used when the user gives a URL. */
interface RedisPackage {
  createClient(options: object): RedisClient;
}

/**
 * How often a connection is tested, in milliseconds. One that was lost without a word, as behind a failover or a firewall, would stay open
 * for a quarter of an hour, and no stop would come.
 */
const PING_MS = 15_000;

/** The connection of a store: the user's own client, or one for a URL, which is made when it is first needed. */
export class RedisConnection {
  readonly #source: RedisClient | string;
  readonly #timeoutMs: number;
  readonly #pingMs: number;
  /** How long it waits at most before it connects again, in milliseconds. */
  longestPauseMs = SHORT_PAUSE_MS;
  #connecting: Promise<RedisClient> | undefined;
  /** Receives the messages of all channels. */
  #subscriber: Promise<RedisClient> | undefined;
  readonly #onConnected = new Set<() => void>();
  #problem: Error | undefined;
  #users = 0;

  constructor(source: RedisClient | string, timeoutMs: number, pingMs = PING_MS) {
    this.#source = source;
    this.#timeoutMs = timeoutMs;
    this.#pingMs = pingMs;
  }

  /** Why the client is not connected, when that is known. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /** Keeps the client until {@link release} was called as often. */
  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    for (const client of [this.#subscriber, this.#connecting])
      client?.then((client) => client.destroy()).catch(() => {});
    this.#subscriber = undefined;
    this.#connecting = undefined;
  }

  /** @throws {@link ConfigError} when there is only a URL, and neither `redis` nor `@redis/client` is installed, or too old a version. */
  async client(): Promise<RedisClient> {
    // What was still under way when the guard closed must not connect again.
    if (this.#users <= 0) throw closed();
    if (typeof this.#source !== 'string') return this.#source;
    this.#connecting ??= this.#connect(this.#source);
    return this.#connecting;
  }

  /** Runs a script. @throws what the client throws, or why it is offline. */
  async evaluate(script: RedisScript, keys: string[], args: string[]): Promise<unknown> {
    try {
      const client = await this.client();
      const options = { keys, arguments: args };
      try {
        return await client.evalSha(script.digest, options);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return await client.eval(script.text, options);
      }
    } catch (error) {
      // "The client is offline" explains less than why.
      const isOffline = error instanceof Error && /offline|closed/i.test(error.message);
      throw (isOffline && this.problem) || error;
    }
  }

  /**
   * Calls the listener whenever it has connected, or subscribed, again: what was published meanwhile did not come.
   *
   * @returns a function that ends it.
   */
  onConnected(listener: () => void): () => void {
    // The same function may be given twice.
    const own = () => listener();
    this.#onConnected.add(own);
    return () => this.#onConnected.delete(own);
  }

  readonly #connected = (): void => {
    for (const listener of this.#onConnected) listener();
  };

  /**
   * Receives what is published on a channel, over one connection for all channels. It connects and subscribes again by itself.
   *
   * @returns a function that ends it.
   */
  async subscribe(channel: string, onMessage: (message: string) => void): Promise<() => void> {
    const listener = (message: string | Buffer) => onMessage(String(message));
    this.#subscriber ??= this.#connectSubscriber();
    const subscriber = await this.#subscriber;
    await withDeadline(this.#timeoutMs, undefined, () => subscriber.subscribe(channel, listener));
    return () => {
      // The last one destroys it.
      if (this.#subscriber !== undefined) subscriber.unsubscribe?.(channel, listener).catch(() => {});
    };
  }

  async #connectSubscriber(): Promise<RedisClient> {
    let subscriber: RedisClient | undefined;
    try {
      const made = (await this.client()).duplicate();
      subscriber = made;
      // Without a listener, a lost connection would end the process.
      made.on('error', () => {});
      await withDeadline(this.#timeoutMs, undefined, () => made.connect());
      if (this.#users <= 0) throw closed();
      for (const event of ['ready', 'node-ready'] as const) made.on(event, this.#connected);
      return made;
    } catch (error) {
      subscriber?.destroy();
      // The next one begins anew.
      this.#subscriber = undefined;
      throw error;
    }
  }

  /**
   * The client connects by itself, and retries. While it is offline, it rejects commands instead of queueing them: the caller
   * sends again what still matters.
   */
  async #connect(url: string): Promise<RedisClient> {
    const client = createClient({
      url,
      disableOfflineQueue: true,
      // Each command has a deadline already; the client's own timer takes two fifths of a command's processor time, and ends after 5 s.
      commandOptions: { timeout: undefined },
      pingInterval: this.#pingMs,
      socket: {
        connectTimeout: this.#timeoutMs,
        socketTimeout: this.#pingMs + this.#timeoutMs,
        reconnectStrategy: (retries: number) => reconnectDelayMs(retries, this.longestPauseMs),
      },
    });
    client.on('ready', this.#connected);
    const failed = new Promise<void>((resolve) => {
      client.on('error', (error) => {
        this.#problem = error;
        resolve();
      });
    });
    // An unreachable server delays the start by `timeoutMs` at most.
    await Promise.race([
      client.connect().catch((error) => {
        this.#problem = error;
      }),
      failed,
      sleep(this.#timeoutMs, undefined, { ref: false }),
    ]);
    return client;
  }
}

/** How long a client waits before it connects again: thousands lose their connections in the same moment, and must not come back in one. */
export function reconnectDelayMs(retries: number, longestPauseMs: number, random = Math.random): number {
  const longestMs = Math.min(100 * 2 ** Math.min(retries, 10), longestPauseMs);
  return Math.round(jittered(longestMs, random));
}

function closed(): Error {
  return new Error('The connection was closed.');
}

function createClient(options: object): RedisClient {
  const { name, createClient } = redisPackage();
  const client = createClient(options);
  if (isRedisClient(client)) return client;
  const expected = `redis or @redis/client ${OLDEST} or newer (npm install redis@latest)`;
  throw new ConfigError('RedisOutcomeStore', [{ path: 'url', expected, got: `${name} ${versionOf(name)}` }]);
}

/** Each `require` is in a `try` of its own: bundlers let it be missing there, and fail elsewhere. */
function redisPackage(): RedisPackage & { readonly name: string } {
  try {
    const { createClient } = requirePackage('@redis/client') as RedisPackage;
    return { name: '@redis/client', createClient };
  } catch (error) {
    rethrowUnlessMissing(error);
  }
  try {
    const { createClient } = requirePackage('redis') as RedisPackage;
    return { name: 'redis', createClient };
  } catch (error) {
    rethrowUnlessMissing(error);
  }
  const expected = 'the package redis or @redis/client beside this one (npm install redis)';
  throw new ConfigError('RedisOutcomeStore', [{ path: 'url', expected, got: 'neither' }]);
}

function versionOf(name: string): string {
  try {
    return String((requirePackage(`${name}/package.json`) as { version: unknown }).version);
  } catch {
    return 'of an older version';
  }
}

function rethrowUnlessMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) throw error;
}

/** Checks what Redis replied. @throws {@link FleetError} when it has something else. */
export function parseReply<Schema extends z.ZodType>(schema: Schema, reply: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const message = "Redis has other data under the guard's names: give RedisOutcomeStore another prefix.";
  throw new FleetError('FOREIGN_DATA', message, parsed.error);
}
