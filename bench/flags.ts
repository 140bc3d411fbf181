/**
 * What 50 guarded flags cost beside one, in one run: memory, an evaluation with the hook, timers, commands to Redis and requests to
 * Unleash's admin API. Run with `npm run bench:flags`; `-- --seconds 65` also sees admin requests, which are half a minute apart.
 */
import { createHook } from 'node:async_hooks';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { OpenFeature } from '@openfeature/server-sdk';
import { createClient } from 'redis';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { RedisServer } from '../examples/fleet/redis-server.js';
import { type GuardedFlags, guardFlags } from '../hooks/guard-flags.js';
import { UnleashProvider } from '../providers/unleash/provider.js';
import { RedisOutcomeStore } from '../src/fleet/redis/redis-outcome-store.js';
import { asyncUploadRollout } from '../src/guard/options/async-upload-rollout.js';
import { FakeAdminApi } from '../test/helpers/fake-admin-api.js';
import { collectGarbage, compare, printComparison } from './harness.js';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '10' } } });
const SECONDS = Number(values.seconds);
const MANY = 50;
/** Of 50 flags, so many have traffic. */
const USERS = Array.from({ length: 64 }, (_, index) => ({ targetingKey: `user-${index}` }));

const folder = await mkdtemp(join(tmpdir(), 'bench-flags-'));
const keysOf = (count: number) => Array.from({ length: count }, (_, index) => `flag-${index}`);

/** A provider with these flags at 50 %, without network. */
async function providerOf(count: number): Promise<UnleashProvider> {
  const unleash = new Unleash({
    url: 'http://localhost/api',
    appName: 'bench-flags',
    refreshInterval: 0,
    disableMetrics: false,
    metricsInterval: 0,
    storageProvider: new InMemStorageProvider(),
    bootstrap: {
      data: keysOf(count).map((name) => ({
        name,
        enabled: true,
        project: 'default',
        strategies: [
          {
            name: 'flexibleRollout',
            parameters: { rollout: '50', stickiness: 'default', groupId: name },
            constraints: [],
          },
        ],
      })),
    },
  });
  return new UnleashProvider(unleash, { logger: false });
}

interface World {
  readonly count: number;
  readonly guarded: GuardedFlags;
  readonly admin: FakeAdminApi;
  readonly client: ReturnType<typeof OpenFeature.getClient>;
  readonly heapBytes: number;
  close(): Promise<void>;
}

async function worldOf(count: number, redis: RedisServer): Promise<World> {
  const domain = `bench-${count}`;
  const provider = await providerOf(count);
  await OpenFeature.setProviderAndWait(domain, provider);
  const client = OpenFeature.getClient(domain);
  collectGarbage();
  const before = memoryBytes();
  const admin = new FakeAdminApi();
  const guarded = guardFlags<string>({
    provider,
    client,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    flags: Object.fromEntries(keysOf(count).map((key) => [key, asyncUploadRollout])),
    store: new RedisOutcomeStore({ url: `redis://127.0.0.1:${redis.port}`, prefix: domain }),
    folder: join(folder, domain),
    logger: false,
    fetch: admin.fetch,
  });
  client.addHooks(guarded.hook);
  await guarded.start();
  collectGarbage();
  return {
    count,
    guarded,
    admin,
    client,
    heapBytes: memoryBytes() - before,
    close: async () => {
      await guarded.close();
      await provider.onClose();
    },
  };
}

function memoryBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Evaluations of all flags, so many of each before the next one's. */
function evaluations({ client }: Pick<World, 'client'>, count: number, ofEach: number) {
  const keys = keysOf(count);
  let next = 0;
  return async (iterations: number) => {
    for (let i = 0; i < iterations; i++) {
      next++;
      await client.getBooleanValue(keys[Math.floor(next / ofEach) % count]!, false, USERS[next & 63]);
    }
  };
}

/**
 * Of one flag and of many, without a guard and with one. In turn, what belongs to a flag has left the processor's nearest caches when it is
 * evaluated again; some hundreds of one flag after another show what the number of flags costs apart from that.
 */
function contestantsOf(worlds: readonly World[]) {
  return worlds.flatMap((world) =>
    [false, true].flatMap((isGuarded) => {
      const { count } = world;
      const client = isGuarded ? world.client : OpenFeature.getClient(`bench-${count}`);
      const what = `${count} ${isGuarded ? 'guarded' : 'unguarded'} flag${count === 1 ? '' : 's'}`;
      const orders = count === 1 ? { '': 1 } : { ', in turn': 1, ', 200 of each': 200 };
      return Object.entries(orders).map(([order, ofEach]) => ({
        name: what + order,
        run: evaluations({ client }, count, ofEach),
      }));
    }),
  );
}

const redis = await RedisServer.start();
const watching = createClient({ url: `redis://127.0.0.1:${redis.port}` });
await watching.connect();

/** Commands of scripts count: what the server has to do. */
async function calls(): Promise<number> {
  const info = String(await watching.info('commandstats'));
  return [...info.matchAll(/^cmdstat_(?:evalsha|eval):calls=(\d+)/gm)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

async function rates(world: World, users: number) {
  const { client, admin, count } = world;
  const startedAt = performance.now();
  const [commandsBefore, requestsBefore, cpuBefore] = [
    await calls(),
    admin.requests.length,
    process.cpuUsage(),
  ];
  const keys = keysOf(count).slice(0, users);
  const stop = setInterval(() => {
    for (const key of keys) void client.getBooleanValue(key, false, USERS[0]);
  }, 100);
  await sleep(SECONDS * 1_000);
  clearInterval(stop);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    'Redis commands/s': ((await calls()) - commandsBefore) / seconds,
    'admin requests/min': ((admin.requests.length - requestsBefore) * 60) / seconds,
    'CPU, % of a core': (user + system) / 10_000 / seconds,
  };
}

/** How many requests the checks of a start make: it has ended when none came for two seconds. */
async function startRequests({ admin }: World): Promise<number> {
  let seen = -1;
  while (admin.requests.length !== seen) {
    seen = admin.requests.length;
    await sleep(2_000);
  }
  return seen;
}

/**
 * Timers that run, those included that do not keep the process alive. In a start of its own: counting them slows everything down.
 */
async function timersOf(count: number): Promise<number> {
  const running = new Set<number>();
  const hook = createHook({
    init: (id, type) => void (type === 'Timeout' && running.add(id)),
    destroy: (id) => void running.delete(id),
  }).enable();
  const world = await worldOf(count, redis);
  await startRequests(world);
  hook.disable();
  await world.close();
  return running.size;
}

try {
  const results: Record<string, Record<string, number>> = {};
  for (const count of [1, MANY]) {
    const world = await worldOf(count, redis);
    const starting = await startRequests(world);
    const idle = await rates(world, 0);
    results[`${count} flag${count === 1 ? '' : 's'}`] = {
      MB: world.heapBytes / 2 ** 20,
      'admin requests at the start': starting,
      ...idle,
    };
    await world.close();
  }
  for (const [index, row] of Object.values(results).entries())
    row.timers = await timersOf(index === 0 ? 1 : MANY);
  for (const row of Object.values(results))
    for (const [name, value] of Object.entries(row)) row[name] = Number(value.toFixed(1));
  console.log('\nGuards in a fleet, without traffic');
  console.table(results);

  const worlds = [await worldOf(1, redis), await worldOf(MANY, redis)];
  printComparison('One evaluation through the OpenFeature client', await compare(contestantsOf(worlds)));
  for (const world of worlds) await world.close();
} finally {
  watching.destroy();
  await redis.close();
  await rm(folder, { recursive: true, force: true });
}
