import { readFile } from 'node:fs/promises';
import { createClient, createCluster } from 'redis';
import { afterEach, expect, it, vi } from 'vitest';
import { makeCertificate } from '../../../bench/uploads/certificate.js';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { FleetLink, FleetState } from '../../../src/fleet/fleet-link.js';
import type { RedisClient } from '../../../src/fleet/redis/redis-client.js';
import { RedisOutcomeStore } from '../../../src/fleet/redis/redis-outcome-store.js';
import type { Decision } from '../../../src/model/shapes.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

const DECISION = {
  id: 'decision-1',
  flagKey: 'async-upload',
  at: 1,
  epoch: 1,
  verdicts: [{ trigger: 'success-rate-below', message: 'Too many failures.' }],
  reason: 'Too many failures.',
} as unknown as Decision;

const SYNC = {
  datasetId: '',
  version: 0,
  seat: { epoch: 0, seenRevision: '', revision: 'ten', keepWindows: true, atLeast: 1 },
  delta: undefined,
  mayLead: true,
};

describeWithBinary('a client of the user’s own', 'redis-server', 'apt-get install redis-server', () => {
  const ends: (() => unknown)[] = [];

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function server(...args: string[]): Promise<RedisServer> {
    const redis = await RedisServer.start(...args);
    ends.push(() => redis.close());
    return redis;
  }

  async function link(client: RedisClient): Promise<{ link: FleetLink; told: FleetState[] }> {
    ends.push(() => client.destroy());
    const made = new RedisOutcomeStore({ client }).link({
      flagKey: 'async-upload',
      environment: 'production',
    });
    ends.push(() => made.close());
    const told: FleetState[] = [];
    await made.open({ onState: (state) => told.push(state) });
    return { link: made, told };
  }

  /** What a fleet does: syncs, judges, stops, and hears of it. */
  async function works({ link, told }: { link: FleetLink; told: FleetState[] }): Promise<void> {
    expect(await link.sync(SYNC)).toMatchObject({ assignedEpoch: 1, fence: 1 });
    expect((await link.read(1, '', 10))!.entries).toMatchObject([{ type: 'epoch', epoch: 1 }]);
    await link.stop(DECISION);
    await vi.waitFor(() => expect(told.at(-1)?.stop).toBeDefined(), { timeout: 5_000 });
    expect(told.at(-1)!.stop!.decision.id).toBe('decision-1');
  }

  it('is used, and not closed', async () => {
    const redis = await server();
    const client = await createClient({ url: redis.url }).connect();
    const { link: made, told } = await link(client);
    await works({ link: made, told });
    await made.close();
    expect(await client.ping()).toBe('PONG');
  });

  it('may be one of a cluster: all keys of a flag are in one slot', async () => {
    const redis = await server('--cluster-enabled', 'yes');
    const node = await redis.client();
    await node.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
    await vi.waitFor(
      async () => expect(String(await node.sendCommand(['CLUSTER', 'INFO']))).toContain('cluster_state:ok'),
      { timeout: 10_000 },
    );
    await node.close();
    const cluster = createCluster({ rootNodes: [{ url: redis.url }] });
    cluster.on('error', () => {});
    await cluster.connect();
    await works(await link(cluster));
  });

  it('needs no other rights than the documentation says', async () => {
    const page = await readFile(new URL('../../../docs/fleet.md', import.meta.url), 'utf8');
    const rights = /needs (`~[\s\S]*?`)\./
      .exec(page)![1]!
      .replace(/[`,\n]|and /g, ' ')
      .split(' ')
      .filter(Boolean);
    const redis = await server();
    const root = await redis.client();
    await root.sendCommand(['ACL', 'SETUSER', 'guard', 'on', '>word', ...rights]);
    await root.close();
    const url = redis.url.replace('//', '//guard:word@');
    const { link: made, told } = await link(await createClient({ url }).connect());
    await works({ link: made, told });
    const delta = {
      sequence: 1,
      epoch: 1,
      text: '{}',
      totals: [['successes:treatment', '1'] as const, ['latencySumMs:treatment', '1.500'] as const],
      skipsLost: false,
    };
    const { datasetId } = told.at(-1)!;
    expect(await made.sync({ ...SYNC, datasetId, delta })).toMatchObject({ delta: 'taken' });
    expect(await made.saveCheckpoint(1, '0-0', 'kept')).toBe(true);
    expect(await made.loadCheckpoint()).toBe('kept');
    await made.finishStop('decision-1', 'off');
    expect(await made.clearStop('decision-1', 'ten', 0)).toMatchObject({ stop: undefined, epoch: 2 });
  });

  it('may speak TLS', async () => {
    const { cert, certFile, keyFile, remove } = await makeCertificate();
    ends.push(remove);
    const redis = await server(
      ...['--port', '0', '--tls-port', '<port>', '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile],
    );
    const client = createClient({
      url: redis.url.replace('redis:', 'rediss:'),
      socket: { tls: true, ca: cert },
    });
    await works(await link(await client.connect()));
  });
});
