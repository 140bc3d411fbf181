import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../support/config-error.js';

/** What is needed of a client of the `redis` package, version 5 or later: `createClient()` and `createCluster()` fit. */
export interface RedisClient {
  evalSha(digest: string, options: ScriptOptions): Promise<unknown>;
  eval(text: string, options: ScriptOptions): Promise<unknown>;
  duplicate(): RedisClient;
  connect(): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  destroy(): void;
}

interface ScriptOptions {
  readonly keys: string[];
  readonly arguments: string[];
}

/** The methods of {@link RedisClient}, to tell a client from anything else. */
export const CLIENT_METHODS: readonly (keyof RedisClient)[] = [
  'evalSha',
  'eval',
  'duplicate',
  'connect',
  'subscribe',
  'on',
  'destroy',
];

/** The part of the package that is used when the user gives a URL. */
interface RedisPackage {
  createClient(options: object): RedisClient;
}

/**
 * A client for a URL, on its way to be connected: it goes on trying by itself. What it cannot send now it refuses, rather
 * than to keep it for later: whoever asks sends again what still matters.
 *
 * @param onProblem - Told why it is not connected.
 * @throws {@link ConfigError} when neither `redis` nor `@redis/client` is installed.
 */
export async function clientFor(
  url: string,
  timeoutMs: number,
  onProblem: (error: Error) => void,
): Promise<RedisClient> {
  const { createClient } = await redisPackage();
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: timeoutMs,
      reconnectStrategy: (retries: number) => Math.min(100 * 2 ** Math.min(retries, 5), 2_000),
    },
  });
  const failed = new Promise<void>((resolve) => {
    client.on('error', (error) => {
      onProblem(error);
      resolve();
    });
  });
  // A server that is away makes nobody wait for long.
  await Promise.race([
    client.connect().catch(onProblem),
    failed,
    sleep(timeoutMs, undefined, { ref: false }),
  ]);
  return client;
}

async function redisPackage(): Promise<RedisPackage> {
  for (const name of ['@redis/client', 'redis']) {
    try {
      return (await import(name)) as RedisPackage;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    }
  }
  const expected = 'the package redis or @redis/client beside this one (npm install redis)';
  throw new ConfigError('RedisOutcomeStore', [{ path: 'url', expected, got: 'neither' }]);
}
