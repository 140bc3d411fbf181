import { readFile } from 'node:fs/promises';
import { createClient, createCluster } from 'redis';
import { afterEach, expect, it } from 'vitest';
import { makeCertificate } from '../../../bench/uploads/certificate.js';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { FleetLink } from '../../../src/fleet/fleet-link.js';
import type { FleetState } from '../../../src/fleet/fleet-shapes.js';
import type { RedisClient } from '../../../src/fleet/redis/redis-client.js';
import { RedisOutcomeStore } from '../../../src/fleet/redis/redis-outcome-store.js';
import { RedisReader } from '../../../src/fleet/redis/redis-reader.js';
import { eventually } from '../../helpers/eventually.js';
import { DECISION, NO_ROLLUPS } from '../../helpers/fleet-decision.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

const SYNC = {
  datasetId: '',
  version: 0,
  assignment: { epoch: 0, seenRevision: '', revision: 'ten', keepWindows: true, minEpoch: 1 },
  delta: undefined,
  oldestEpoch: 0,
  accepted: 0,
  feeds: '',
  settledUpTo: undefined,
  rebuild: false,
  isIdle: false,
  isLeaving: false,
  mayLead: true,
};

describeWithBinary(
  'RedisOutcomeStore with a given client',
  'redis-server',
  'apt-get install redis-server',
  () => {
    const ends: (() => unknown)[] = [];

    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end();
    });

    async function server(...args: string[]): Promise<RedisServer> {
      const redis = await RedisServer.start(...args);
      ends.push(() => redis.close());
      return redis;
    }

    async function link(client: RedisClient): Promise<{ link: FleetLink; states: FleetState[] }> {
      ends.push(() => client.destroy());
      const made = new RedisOutcomeStore({ client, timeoutMs: 20_000 }).link({
        flagKey: 'async-upload',
        environment: 'production',
      });
      ends.push(() => made.close());
      const states: FleetState[] = [];
      await made.open(({ read }) => states.push(read()!));
      return { link: made, states };
    }

    /** What a fleet does: syncs, leads, stops, and receives the stop. */
    async function works({ link, states }: { link: FleetLink; states: FleetState[] }): Promise<void> {
      const { state, ...reply } = await link.sync(SYNC);
      expect(reply).toMatchObject({ assignedEpoch: 1, fence: 1 });
      const lease = { fence: 1, datasetId: state!.datasetId };
      expect((await link.read(lease, '', 10))!.entries).toMatchObject([{ type: 'epoch', epoch: 1 }]);
      await link.stop(DECISION, 1);
      await eventually(() => expect(states.at(-1)?.stop).toBeDefined());
      expect(states.at(-1)!.stop!.decision.id).toBe('decision-1');
    }

    it('uses the client, and does not close it', async () => {
      const redis = await server();
      const client = await createClient({ url: redis.url }).connect();
      const { link: made, states } = await link(client);
      await works({ link: made, states });
      await made.close();
      expect(await client.ping()).toBe('PONG');
    });

    it('works with a cluster: all keys of a flag are in one slot', async () => {
      const redis = await server('--cluster-enabled', 'yes');
      const node = await redis.client();
      await node.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
      await eventually(async () =>
        expect(String(await node.sendCommand(['CLUSTER', 'INFO']))).toContain('cluster_state:ok'),
      );
      await node.close();
      const cluster = createCluster({ rootNodes: [{ url: redis.url }] });
      cluster.on('error', () => {});
      await cluster.connect();
      await works(await link(cluster));
    });

    it('needs only the rights in docs/fleet.md', async () => {
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
      const { link: made, states } = await link(await createClient({ url }).connect());
      await works({ link: made, states });
      const delta = {
        sequence: 1,
        epoch: 1,
        text: '{}',
        totals: [['successes:treatment', '1'] as const, ['latencySumMs:treatment', '1.500'] as const],
      };
      const { datasetId } = states.at(-1)!;
      expect(await made.sync({ ...SYNC, datasetId, delta })).toMatchObject({ delta: 'accepted' });
      // One more than are kept, so that one is removed.
      const lines = Array.from({ length: 1_801 }, () => ({ series: 'minutes' as const, line: '{}', end: 0 }));
      const lease = { fence: 1, datasetId };
      expect(await made.saveCheckpoint(lease, '0-0', 'kept', { ...NO_ROLLUPS, lines })).toBe(true);
      expect(await made.saveView(lease, '{}')).toBe(true);
      const reader = new RedisReader({ url });
      const flag = { environment: 'production', flagKey: 'async-upload' };
      expect(await reader.flags()).toEqual([flag]);
      expect(await reader.history(flag)).toEqual({ rollups: [], annotations: [] });
      expect(await reader.view(flag)).toBeUndefined();
      reader.close();
      expect((await made.loadCheckpoint()).text).toBe('kept');
      await made.finishStop('decision-1', 'off');
      const { stop, epoch } = await made.clearStop('decision-1', 'ten', 0);
      expect([stop, epoch]).toEqual([undefined, 2]);
    });

    it('works over TLS', async () => {
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
  },
);
