import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenFeature } from '@openfeature/server-sdk';
import { createClient } from 'redis';
import { guardFlags, successRateBelow, UnleashProvider } from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const KEYS = ['several-upload', 'several-search', 'several-checkout'] as const;
const DOMAIN = 'several-flags';

describeWithBinary('several flags of one process', 'redis-server', 'apt-get install redis-server', () => {
  let unleash: SharedUnleash;
  let folder: string;
  const ends: (() => unknown)[] = [];

  beforeAll(async () => {
    unleash = await sharedUnleash();
  });

  beforeEach(async () => {
    await Promise.all(KEYS.map((key) => unleash.createFlag(key, { percentage: 100 })));
    folder = await mkdtemp(join(tmpdir(), 'several-'));
    ends.push(() => rm(folder, { recursive: true, force: true }));
  });

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  it('share one provider, one admin client and two connections to Redis, and only the one that fails is off in Unleash', async () => {
    const redis = await RedisServer.start();
    ends.push(() => redis.close());
    const watching = createClient({ url: `redis://127.0.0.1:${redis.port}` });
    await watching.connect();
    ends.push(() => watching.destroy());
    const provider = new UnleashProvider({
      url: unleash.apiUrl,
      appName: 'several-flags',
      customHeaders: { Authorization: unleash.clientToken },
      refreshInterval: 200,
    });
    const requests: string[] = [];
    const guarded = guardFlags({
      provider,
      unleash: {
        url: unleash.apiUrl,
        token: unleash.adminToken,
        project: unleash.project,
        environment: unleash.environment,
        // A request that is late on a busy machine would be sent twice.
        timeoutMs: 20_000,
      },
      flags: Object.fromEntries(
        KEYS.map((key) => [key, { rollback: [successRateBelow(0.95, { minOutcomes: 20 })] }]),
      ) as Record<(typeof KEYS)[number], { rollback: ReturnType<typeof successRateBelow>[] }>,
      client: OpenFeature.getClient(DOMAIN),
      store: new RedisOutcomeStore({ url: `redis://127.0.0.1:${redis.port}`, flushMs: 50 }),
      folder,
      logger: false,
      fetch: (input, init) => {
        requests.push(`${init?.method ?? 'GET'} ${new URL(String(input)).pathname}`);
        return fetch(input, init);
      },
    });
    OpenFeature.addHooks(guarded.hook);
    ends.push(async () => {
      await guarded.close();
      await OpenFeature.clearProviders();
      OpenFeature.clearHooks();
    });
    await OpenFeature.setProviderAndWait(DOMAIN, provider);
    await guarded.start();
    await eventually(() =>
      expect(Object.values(guarded.status()).map(({ fleet }) => fleet?.role)).toEqual(
        KEYS.map(() => 'leader'),
      ),
    );
    await eventually(async () => {
      const clients = String(await watching.sendCommand(['CLIENT', 'LIST']))
        .trim()
        .split('\n');
      // Commands, messages, and the one that counts.
      expect(clients).toHaveLength(3);
    });
    await eventually(() => {
      for (const key of KEYS)
        expect(requests.filter((request) => request.endsWith(`/features/${key}`))).toHaveLength(1);
    });
    expect(requests.filter((request) => request === 'GET /api/admin/user')).toHaveLength(1);

    const operations = KEYS.map((key) =>
      guarded.get(key).operation({
        treatment: (user: number) => {
          if (key === 'several-search' && user % 2 === 0) throw new Error('down');
          return 'new';
        },
        control: () => 'old',
        retries: 0,
      }),
    );
    for (let user = 0; user < 40; user++)
      for (const operation of operations) await operation({ targetingKey: `user-${user}` }, user);
    await eventually(() => expect(guarded.get('several-search').state.status).toBe('stopped'));
    const enabled = await Promise.all(KEYS.map(async (key) => (await unleash.flag(key)).enabled));
    expect(enabled).toEqual([true, false, true]);
    expect(await operations[1]!({ targetingKey: 'user-1' }, 1)).toBe('old');
    expect(await operations[0]!({ targetingKey: 'user-1' }, 1)).toBe('new');
    // A machine that is busy may have delayed the event loop.
    await eventually(() => expect(guarded.health.status).toBe('ok'));
  });
});
