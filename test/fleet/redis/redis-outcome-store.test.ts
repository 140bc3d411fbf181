import { describe, expect, it } from 'vitest';
import type { RedisClient } from '../../../src/fleet/redis/redis-client.js';
import {
  RedisOutcomeStore,
  type RedisOutcomeStoreOptions,
} from '../../../src/fleet/redis/redis-outcome-store.js';
import { isConfigError } from '../../../src/support/config-error.js';

function refusalOf(options: unknown): string {
  try {
    new RedisOutcomeStore(options as RedisOutcomeStoreOptions);
  } catch (error) {
    if (isConfigError(error)) return error.message;
    throw error;
  }
  return 'none';
}

/** A server that only returns its version. */
function serverOf(version: string): RedisClient {
  const client: RedisClient = {
    evalSha: async () => [version, 'noeviction'],
    eval: async () => [version, 'noeviction'],
    duplicate: () => client,
    connect: async () => client,
    subscribe: async () => {},
    on: () => client,
    destroy: () => {},
  };
  return client;
}

describe('RedisOutcomeStore', () => {
  it.each<[string, unknown, RegExp]>([
    ['neither a client nor a URL', {}, /client/],
    ['both', { url: 'redis://localhost', client: serverOf('7.0.0') }, /client/],
    ['a URL of something else', { url: 'https://user:hidden@redis.example.com' }, /url.*redis:\/\//s],
    ['no URL at all', { url: 'redis.example.com:6379' }, /url/],
    ['a client of another package', { client: { get: () => {} } }, /client.*redis package/s],
    ['a prefix with braces', { url: 'redis://localhost', prefix: '{a}' }, /prefix/],
    ['a service with a slash', { url: 'redis://localhost', service: 'a/b' }, /service.*letters.*a\/b/s],
    ['an empty service', { url: 'redis://localhost', service: '' }, /service/],
    ['a lease that ends between two flushes', { url: 'redis://localhost', flushMs: 2_000 }, /leaseMs.*4000/s],
    ['a negative time', { url: 'redis://localhost', evaluateMs: -1 }, /evaluateMs/],
    ['an unknown option', { url: 'redis://localhost', ttl: 5 }, /ttl/],
  ])('refuses %s', (_, options, message) => {
    const refusal = refusalOf(options);
    expect(refusal).toMatch(message);
    expect(refusal).not.toContain('hidden');
  });

  const open = (version: string) =>
    new RedisOutcomeStore({ client: serverOf(version) })
      .link({ flagKey: 'async-upload', environment: 'production' })
      .open(() => {});

  it.each(['5.0.14', '6.0.20'])(
    'refuses Redis %s, which cannot trim a stream by identifier',
    async (version) => {
      await expect(open(version)).rejects.toMatchObject({
        name: 'FleetError',
        code: 'UNSUPPORTED_VERSION',
        requiresAction: true,
        message: `Redis ${version} is too old: 6.2 or later (or Valkey) is needed.`,
      });
    },
  );

  it.each(['6.2.0', '7.4.1', '10.0.0', ''])('accepts Redis "%s"', async (version) => {
    await expect(open(version)).resolves.toEqual([]);
  });
});
