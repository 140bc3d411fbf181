import { withDeadline } from '../../support/deadline.js';
import { RedisConnection } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import { bareScript } from './script.js';

/** What is known of a Redis. */
export interface RedisFacts {
  readonly version: string;
  /** What Redis deletes when its memory is full, for example `noeviction`; undefined when it has no limit or does not say. */
  readonly evicts: string | undefined;
}

/** It writes no key. Lua may read INFO wherever a fleet's scripts run. */
const INFO = bareScript("return redis.call('INFO', 'server') .. redis.call('INFO', 'memory')");

/**
 * Connects as a fleet does, and changes nothing.
 *
 * @throws FleetError that says what is wrong, never with the URL.
 */
export async function examineRedis(url: string, timeoutMs: number): Promise<RedisFacts> {
  const connection = new RedisConnection(url, timeoutMs);
  connection.retain();
  try {
    const info = String(await withDeadline(timeoutMs, undefined, () => connection.evaluate(INFO, [], [])));
    const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
    const limit = Number(field('maxmemory') ?? 0);
    return {
      version: field('redis_version') ?? 'unknown',
      evicts: limit > 0 ? field('maxmemory_policy') : undefined,
    };
  } catch (error) {
    throw redisFailure(error);
  } finally {
    connection.release();
  }
}
