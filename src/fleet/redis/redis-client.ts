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

/** The methods of {@link RedisClient}, by which a client is recognised. */
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
 * A client for a URL that connects by itself, and retries. While it is offline, it rejects commands instead of queueing
 * them: the caller sends again what still matters.
 *
 * @param onProblem - Called with the reason why it is not connected.
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
  // An unreachable server delays the start by `timeoutMs` at most.
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
