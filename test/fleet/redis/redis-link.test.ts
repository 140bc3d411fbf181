import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../../examples/fleet/redis-server.js';
import type { FleetLink, SyncRequest } from '../../../src/fleet/fleet-link.js';
import type { FleetState, Lease, StopNotice } from '../../../src/fleet/fleet-shapes.js';
import { reconnectDelayMs } from '../../../src/fleet/redis/redis-client.js';
import {
  RedisOutcomeStore,
  type RedisOutcomeStoreOptions,
} from '../../../src/fleet/redis/redis-outcome-store.js';
import { longestPauseMs } from '../../../src/fleet/spread.js';
import { eventually } from '../../helpers/eventually.js';
import { DECISION, NO_ROLLUPS } from '../../helpers/fleet-decision.js';
import { describeWithBinary } from '../../helpers/needs-binary.js';

/** What a Redis on a machine that is busy needs. */
const SLOW = { timeoutMs: 20_000 };

const EMPTY: SyncRequest = {
  datasetId: '',
  version: 0,
  assignment: { epoch: 0, seenRevision: '', revision: '', keepWindows: true, minEpoch: 0 },
  delta: undefined,
  oldestEpoch: 0,
  accepted: 0,
  feeds: '',
  settledUpTo: undefined,
  rebuild: false,
  isIdle: false,
  isLeaving: false,
  mayLead: false,
};

describeWithBinary('RedisLink', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  const links: FleetLink[] = [];
  const received: FleetState[][] = [];
  const announced: (StopNotice | undefined)[][] = [];
  let flag = 0;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    await Promise.all(links.splice(0).map((link) => link.close()));
    received.length = 0;
    announced.length = 0;
  });

  afterAll(() => redis.close());

  /** Two processes of a fleet of their own. */
  async function pair(options: RedisOutcomeStoreOptions = {}): Promise<[FleetLink, FleetLink]> {
    flag++;
    const open = async () => {
      const store = new RedisOutcomeStore({
        ...SLOW,
        url: redis.url,
        leaseMs: 60_000,
        flushMs: 50,
        ...options,
      });
      const link = store.link({ flagKey: `flag-${flag}`, environment: 'production' });
      links.push(link);
      const states: FleetState[] = [];
      const stops: (StopNotice | undefined)[] = [];
      received.push(states);
      announced.push(stops);
      await link.open(({ stop, read }) => {
        stops.push(stop);
        const state = read();
        if (state !== undefined) states.push(state);
      });
      return link;
    };
    return [await open(), await open()];
  }

  const seen = (revision: string, epoch = 0, seenRevision = '', keepWindows = true) => ({
    ...EMPTY,
    assignment: { epoch, seenRevision, revision, keepWindows, minEpoch: 0 },
  });

  const delta = (sequence: number, totals: [string, string][] = [['successes:treatment', '1']]) => ({
    sequence,
    epoch: 1,
    text: `{"sequence":${sequence}}`,
    totals,
  });

  it('assigns one epoch to all processes with the same definition', async () => {
    const [one, other] = await pair();
    const first = await one.sync(seen('ten'));
    expect(first).toMatchObject({ assignedEpoch: 1, state: { epoch: 1, revision: 'ten', oldestEpoch: 1 } });
    expect(await other.sync(seen('ten'))).toMatchObject({ assignedEpoch: 1, state: { epoch: 1 } });
  });

  it('moves each process to the next epoch when it has the new definition, not before', async () => {
    const [one, other] = await pair();
    await one.sync(seen('ten'));
    await other.sync(seen('ten'));
    expect((await one.sync(seen('fifty', 1, 'ten'))).assignedEpoch).toBe(2);
    // Has not polled yet: its outcomes belong to the epoch before.
    expect(
      (await other.sync({ ...seen('ten', 1, 'ten'), datasetId: received.flat()[0]!.datasetId }))
        .assignedEpoch,
    ).toBe(1);
    expect((await other.sync(seen('fifty', 1, 'ten'))).assignedEpoch).toBe(2);
  });

  it('assigns the latest epoch to a process that missed a change and its reversal', async () => {
    const [one, other] = await pair();
    await one.sync(seen('ten'));
    await one.sync(seen('fifty', 1, 'ten'));
    await one.sync(seen('ten', 2, 'fifty'));
    expect((await other.sync(seen('ten', 1, 'ten'))).assignedEpoch).toBe(3);
  });

  it('accepts each delta once, in order, and reports a gap', async () => {
    const [one] = await pair();
    const { state } = await one.sync(seen('ten'));
    const send = (sequence: number) =>
      one.sync({
        ...seen('ten', 1, 'ten'),
        datasetId: state!.datasetId,
        delta: delta(sequence),
        accepted: sequence - 1,
      });
    expect(await send(1)).toMatchObject({ delta: 'accepted', lastSequence: 1 });
    expect(await send(1)).toMatchObject({ delta: 'duplicate', lastSequence: 1 });
    expect(await send(3)).toMatchObject({ delta: 'gap', lastSequence: 1 });
    expect(await send(2)).toMatchObject({ delta: 'accepted', lastSequence: 2 });
    // A failover can lose what was accepted before, also when there is nothing to send.
    const request = { ...seen('ten', 1, 'ten'), datasetId: state!.datasetId, accepted: 3 };
    expect(await one.sync(request)).toMatchObject({ delta: 'gap', lastSequence: 2 });
    const client = await redis.client();
    const key = `rollout-guard:{production/flag-${flag}}:totals:1`;
    expect({ ...(await client.hGetAll(key)) }).toEqual({
      about: expect.any(String),
      dataset: state!.datasetId,
      'successes:treatment': '2',
    });
    // In a list, each sum would search all others.
    expect(await client.objectEncoding(key)).toBe('hashtable');
    await client.close();
  });

  it('accepts no delta for an unknown dataset', async () => {
    const [one] = await pair();
    expect(await one.sync({ ...seen('ten'), datasetId: 'another', delta: delta(1) })).toMatchObject({
      delta: 'unknown-data',
      lastSequence: 0,
    });
  });

  it('has one leader, replaces it when it is silent, and refuses what the former one still sends', async () => {
    const [one, other] = await pair({ leaseMs: 2_000 });
    const leading = { ...seen('ten'), mayLead: true };
    const first = await one.sync(leading);
    expect(first.fence).toBe(1);
    const lease = (fence: number): Lease => ({ fence, datasetId: first.state!.datasetId });
    const second = await other.sync(leading);
    expect([second.fence, second.leader]).toEqual([undefined, one.instance]);
    await eventually(async () => expect((await other.sync(leading)).fence).toBe(2));
    expect(await one.read(lease(1), '', 10)).toBeUndefined();
    expect(await one.saveCheckpoint(lease(1), '0-0', 'old', NO_ROLLUPS)).toBe(false);
    expect(await other.saveCheckpoint(lease(2), '0-0', 'new', NO_ROLLUPS)).toBe(true);
    expect((await one.loadCheckpoint()).text).toBe('new');
    // Nor may it lead other data with its number.
    expect(await other.read({ ...lease(2), datasetId: 'another' }, '', 10)).toBeUndefined();
  });

  it('counts those that may lead, and were seen lately', async () => {
    const [one, other] = await pair();
    expect((await one.sync({ ...seen('ten'), mayLead: true })).candidates).toBe(1);
    expect((await other.sync({ ...seen('ten'), mayLead: true })).candidates).toBe(2);
    await one.sync({ ...seen('ten'), isLeaving: true });
    expect((await other.sync({ ...seen('ten'), mayLead: true })).candidates).toBe(1);
    expect((await one.sync(seen('ten'))).candidates).toBe(0);
  });

  it('sends no more to a silent Redis than it may wait for, and works when Redis replies', async () => {
    const [one] = await pair({ timeoutMs: 1_000 });
    redis.freeze();
    try {
      const waiting = Array.from({ length: 8 }, () => one.sync(seen('ten')));
      const settled = Promise.allSettled(waiting);
      await expect(one.sync(seen('ten'))).rejects.toThrow('Redis does not reply.');
      for (const { status } of await settled) expect(status).toBe('rejected');
      // Those eight may still arrive: what came after them was not sent.
      await expect(one.sync(seen('ten'))).rejects.toThrow('Redis does not reply.');
    } finally {
      redis.thaw();
    }
    await eventually(() => one.sync(seen('ten')));
  });

  it('returns every entry in order, and deletes those that are in the checkpoint', async () => {
    const [one] = await pair();
    const { state } = await one.sync({ ...seen('ten'), mayLead: true });
    const request = { ...seen('ten', 1, 'ten'), datasetId: state!.datasetId, mayLead: true };
    await one.sync({ ...request, delta: delta(1) });
    await one.sync({ ...request, delta: delta(2), accepted: 1 });
    const lease = { fence: 1, datasetId: state!.datasetId };
    const all = await one.read(lease, '', 10);
    expect(all).toMatchObject({ isAll: true, epoch: 1 });
    expect(all!.entries).toMatchObject([
      { type: 'epoch', epoch: 1, keepWindows: true },
      { type: 'delta', text: '{"sequence":1}', from: one.instance },
      { type: 'delta', text: '{"sequence":2}', from: one.instance },
    ]);
    const [, second] = all!.entries;
    await one.saveCheckpoint(lease, second!.id, 'kept', NO_ROLLUPS);
    const left = await one.read(lease, second!.id, 10);
    expect(left!.entries).toMatchObject([{ text: '{"sequence":2}' }]);
  });

  it('publishes a stop at once, and keeps the first decision', async () => {
    const [one, other] = await pair();
    await one.sync(seen('ten'));
    const stopped = await one.stop(DECISION, undefined);
    expect(stopped.stop).toEqual({ decision: DECISION, done: undefined });
    await eventually(() => expect(received[1]!.at(-1)?.stop?.decision.id).toBe('decision-1'));
    expect((await other.stop({ ...DECISION, id: 'decision-2' }, undefined)).stop?.decision.id).toBe(
      'decision-1',
    );
    await one.finishStop('decision-1', 'off');
    await eventually(() => expect(received[1]!.at(-1)?.stop?.done).toBe('off'));
  });

  it('announces a stop ahead of the decision, and nothing once it is cleared', async () => {
    const [one] = await pair();
    await one.sync(seen('ten'));
    const reason = 'Zu viele „Fehler“:\n12 % > 5 %';
    const { datasetId, version } = await one.stop({ ...DECISION, reason }, undefined);
    await eventually(() =>
      expect(announced[1]!.at(-1)).toEqual({ datasetId, version, id: 'decision-1', reason }),
    );
    await one.finishStop('decision-1', 'off');
    await eventually(() => expect(announced[1]!.at(-1)?.version).toBeGreaterThan(version));
    await one.clearStop('decision-1', 'ten', 0);
    await eventually(() => expect(announced[1]!.at(-1)).toBeUndefined());
  });

  it('takes no other message for a stop', async () => {
    const [one] = await pair();
    await one.sync(seen('ten'));
    await eventually(() => expect(received[1]).toHaveLength(1));
    const { datasetId } = received[1]![0]!;
    const whole = JSON.stringify({ datasetId, version: 9, id: 'a', reason: 'b' });
    const messages = [
      'hello',
      '',
      `{"datasetId":"${datasetId}","version":9}\n{}`,
      `${whole.replace('9', '"9"')}\n{}`,
      whole,
      `${whole}\n{"datasetId":"${datasetId.slice(0, 9)}`,
      `[${whole}]\n{}`,
    ];
    const client = await redis.client();
    for (const message of messages) {
      await client.publish(`rollout-guard:{production/flag-${flag}}:changes`, message);
    }
    await client.close();
    await eventually(() => expect(announced[1]).toHaveLength(1 + messages.length));
    expect(announced[1]!.filter((stop) => stop !== undefined)).toEqual([]);
    expect(received[1]).toHaveLength(1);
  });

  it('says when announcements may have been missed, and announces again', async () => {
    flag++;
    const link = new RedisOutcomeStore({ ...SLOW, url: redis.url }).link({
      flagKey: `flag-${flag}`,
      environment: 'production',
    });
    links.push(link);
    const states: (FleetState | undefined)[] = [];
    let missed = 0;
    await link.open(
      ({ read }) => states.push(read()),
      () => missed++,
    );
    expect(missed).toBe(0);
    const client = await redis.client();
    await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    await client.close();
    await eventually(() => expect(missed).toBe(1));
    await link.sync(seen('ten'));
    await eventually(() => expect(states.at(-1)?.revision).toBe('ten'));
  });

  it('connects again after half a pause to a whole one, each up to twice as long as the one before', () => {
    const delays = (longestPauseMs: number, random: number) =>
      [0, 1, 2, 3, 4, 5, 50].map((retries) => reconnectDelayMs(retries, longestPauseMs, () => random));
    expect(delays(2_000, 0)).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
    expect(delays(2_000, 1)).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000]);
    expect(delays(6_000, 1)).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_000]);
  });

  it.each([
    // Unknown sizes, and fleets of up to 1,333, wait as shortly as before.
    [0, 0, false, 2_000],
    [1_333, 0, false, 2_000],
    [4_000, 0, false, 6_000],
    [100_000, 0, false, 15_000],
    [10_000, 19, true, 2_000],
    [10_000, 20, true, 15_000],
  ])(
    'waits among %i processes, of which %i may lead (itself: %s), for %i ms at most',
    (processes, candidates, mayLead, ms) => {
      expect(longestPauseMs({ processes, candidates }, mayLead)).toBe(ms);
    },
  );

  it('clears a stop that an operator has undone, for good', async () => {
    const [one, other] = await pair();
    await one.sync(seen('ten'));
    await one.stop(DECISION, undefined);
    const cleared = await other.clearStop('decision-1', 'ten', 0);
    expect(cleared.stop).toBeUndefined();
    expect(cleared).toMatchObject({
      clearedStops: ['decision-1'],
      epoch: 2,
      oldestEpoch: 2,
    });
    // A process that has not received it yet changes nothing.
    expect((await one.stop(DECISION, undefined)).stop).toBeUndefined();
    expect((await one.clearStop('decision-1', 'ten', 0)).epoch).toBe(2);
  });

  it('refuses a stop of an epoch that an operator has ended, and one of a leader that was replaced', async () => {
    const [one, other] = await pair({ leaseMs: 2_000 });
    await one.sync({ ...seen('ten'), mayLead: true });
    await one.stop(DECISION, 1);
    expect((await other.clearStop('decision-1', 'ten', 0)).oldestEpoch).toBe(2);
    const late = await one.stop({ ...DECISION, id: 'late' }, undefined);
    expect([late.stop, late.clearedStops]).toEqual([undefined, ['decision-1', 'late']]);
    const second = { ...seen('ten'), mayLead: true };
    await eventually(async () => expect((await other.sync(second)).fence).toBe(2));
    const former = await one.stop({ ...DECISION, id: 'former', epoch: 2 }, 1);
    expect([former.stop, former.clearedStops.at(-1)]).toEqual([undefined, 'former']);
    // The processes that made them receive that too.
    await eventually(() => expect(received[0]!.at(-1)?.clearedStops).toContain('former'));
    expect((await one.stop({ ...DECISION, id: 'current', epoch: 2 }, 2)).stop?.decision.id).toBe('current');
  });

  it('warns where Redis may evict the keys', async () => {
    const client = await redis.client();
    const policy = async (value: string) => {
      await client.configSet('maxmemory-policy', value);
      const link = new RedisOutcomeStore({ ...SLOW, url: redis.url }).link({
        flagKey: 'new',
        environment: 'test',
      });
      links.push(link);
      return link.open(() => {});
    };
    expect(await policy('volatile-lru')).toEqual([expect.stringMatching(/volatile-lru.*noeviction/s)]);
    expect(await policy('allkeys-lfu')).toEqual([expect.stringMatching(/allkeys-lfu.*noeviction/s)]);
    expect(await policy('noeviction')).toEqual([]);
    await client.close();
  });

  it('rejects with FOREIGN_DATA when other data has the guard’s keys', async () => {
    const client = await redis.client();
    await client.set('rollout-guard:{production/taken}:state', 'not a hash');
    await client.close();
    const link = new RedisOutcomeStore({ ...SLOW, url: redis.url }).link({
      flagKey: 'taken',
      environment: 'production',
    });
    links.push(link);
    await expect(link.open(() => {})).rejects.toMatchObject({
      name: 'FleetError',
      code: 'FOREIGN_DATA',
      requiresAction: true,
      message: expect.stringMatching(/another prefix/),
    });
  });
});
