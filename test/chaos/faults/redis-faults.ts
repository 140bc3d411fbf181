import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { Fault, World } from '../fault.js';

const run = promisify(execFile);
const LOST_CONNECTION = /"fleet-connection"/;
const LOST_DATA = /"fault".*had lost data/;

const inRedis = { area: 'Redis', needs: ['redis-server'], setup: { redis: 'single' } } as const;

/** Any of the flag's keys can be evicted alone. */
const KEYS = ['state', 'members', 'seen', 'leader', 'deltas', 'checkpoint', 'totals:1'];

export const redisFaults: readonly Fault[] = [
  ...KEYS.map(
    (key): Fault => ({
      ...inRedis,
      name: `Redis loses the key ${key}`,
      isShort: key === 'members',
      breaks: 'after',
      inject: ({ redis, flagKey }) =>
        withClient(redis[0]!, (client) => client.del(`rollout-guard:{development/${flagKey}}:${key}`)),
    }),
  ),
  {
    ...inRedis,
    name: 'Redis loses all keys',
    isShort: true,
    breaks: 'after',
    inject: ({ redis }) => withClient(redis[0]!, (client) => client.flushAll()),
    expect: { message: LOST_DATA },
  },
  {
    ...inRedis,
    name: 'an unreadable entry in the stream of outcomes',
    isShort: true,
    breaks: 'after',
    inject: ({ redis, flagKey }) =>
      withClient(redis[0]!, (client) =>
        client.xAdd(`rollout-guard:{development/${flagKey}}:deltas`, '*', { garbage: 'x' }),
      ),
    expect: { message: /"fault".*cannot be read/ },
  },
  {
    ...inRedis,
    name: 'Redis restarts and has lost everything',
    breaks: 'after',
    inject: ({ redis }) => redis[0]!.kill(),
    heal: ({ redis }) => redis[0]!.resume(),
    expect: { message: LOST_CONNECTION },
  },
  {
    ...inRedis,
    name: 'Redis is silent',
    isShort: true,
    lastsMs: 4_000,
    inject: ({ redis }) => redis[0]!.freeze(),
    heal: ({ redis }) => redis[0]!.thaw(),
    expect: { decisions: 'one of each process', message: LOST_CONNECTION },
  },
  {
    ...inRedis,
    name: 'Redis is out of memory and refuses writes',
    lastsMs: 4_000,
    inject: ({ redis }) => withClient(redis[0]!, (client) => client.configSet('maxmemory', '1')),
    heal: ({ redis }) => withClient(redis[0]!, (client) => client.configSet('maxmemory', '0')),
    expect: { decisions: 'one of each process', message: LOST_CONNECTION },
  },
  {
    ...inRedis,
    name: 'Redis may evict keys (volatile-lru), and does',
    isShort: true,
    setup: { redis: 'single', redisArgs: ['--maxmemory-policy', 'volatile-lru', '--maxmemory', '64mb'] },
    breaks: 'after',
    inject: ({ redis }) => withClient(redis[0]!, (client) => client.configSet('maxmemory', '1mb')),
    heal: ({ redis }) => withClient(redis[0]!, (client) => client.configSet('maxmemory', '64mb')),
    expect: { message: /maxmemory|noeviction|evict/i },
  },
  {
    ...inRedis,
    name: 'a failover to a replica that had not got the last writes',
    isShort: true,
    setup: { redis: 'replica' },
    breaks: 'after',
    inject: async ({ redis: [master, replica], redisLink }) => {
      // From here on, the master's writes are lost.
      await withClient(replica!, (client) => client.sendCommand(['REPLICAOF', 'NO', 'ONE']));
      await sleep(1_500);
      await redisLink!.pause();
      await master!.kill();
      await redisLink!.resume(replica!.url);
    },
  },
  {
    area: 'Redis',
    name: 'the cluster moves the slot of the flag to another node',
    needs: ['redis-server', 'redis-cli'],
    setup: { redis: 'cluster' },
    breaks: 'after',
    inject: reshard,
  },
];

/** Moves all slots of the node that has the flag's to the next one. */
async function reshard({ redis, flagKey }: World): Promise<void> {
  const cli = async (...args: string[]) =>
    (await run('redis-cli', ['-p', String(redis[0]!.port), ...args])).stdout.trim();
  const slot = Number(await cli('cluster', 'keyslot', `rollout-guard:{development/${flagKey}}:state`));
  const nodes = (await cli('cluster', 'nodes')).split('\n').map((line) => {
    const [id, , , , , , , , range = ''] = line.split(' ');
    const [first, last] = range.split('-').map(Number);
    return { id: id!, first: first!, last: last! };
  });
  const from = nodes.findIndex(({ first, last }) => first <= slot && slot <= last);
  const { id, first, last } = nodes[from]!;
  const to = nodes[(from + 1) % nodes.length]!;
  await cli(
    ...['--cluster', 'reshard', `127.0.0.1:${redis[0]!.port}`, '--cluster-yes', '--cluster-from', id],
    ...['--cluster-to', to.id, '--cluster-slots', String(last - first + 1)],
  );
}

type Client = Awaited<ReturnType<RedisServer['client']>>;

async function withClient<T>(server: RedisServer, act: (client: Client) => Promise<T>): Promise<void> {
  const client = await server.client();
  try {
    await act(client);
  } finally {
    await client.close();
  }
}
