import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { eventually } from '../helpers/eventually.js';
import { DECISION } from '../helpers/fleet-decision.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { MemberProcess } from './member-process.js';

/** A failover to a replica that was behind: Redis is killed, and starts with what it had saved. */
describeWithBinary('a fleet after a failover', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let flag = 0;
  const processes: MemberProcess[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start('--dbfilename', 'saved.rdb');
  });

  afterEach(async () => {
    await Promise.all(processes.splice(0).map(({ member }) => member.close()));
  });

  afterAll(() => redis?.close());

  async function fleet(count: number): Promise<MemberProcess[]> {
    flag++;
    const made = Array.from({ length: count }, () => new MemberProcess(redis.url, `flag-${flag}`));
    processes.push(...made);
    for (const { member } of made) await member.start();
    return made;
  }

  async function inRedis<Result>(
    use: (client: Awaited<ReturnType<RedisServer['client']>>) => Promise<Result>,
  ) {
    const client = await redis.client();
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  }

  const save = () => inRedis((client) => client.sendCommand(['SAVE']));

  async function failOver(): Promise<void> {
    await redis.kill();
    await redis.resume();
  }

  const totals = (epoch: number) =>
    inRedis(async (client) => {
      const key = `rollout-guard:{production/flag-${flag}}:totals:${epoch}`;
      return Number((await client.hGet(key, 'successes:treatment')) ?? 0);
    });

  const sync = (made: readonly MemberProcess[]) => Promise.all(made.map(({ member }) => member.sync()));

  async function expectCounted(made: readonly MemberProcess[], epoch: number, recorded: number) {
    await eventually(async () => {
      await sync(made);
      const leader = made.find(({ member }) => member.role === 'leader');
      expect([leader?.totals().treatment.successes, leader?.member.isCurrent]).toEqual([recorded, true]);
      expect(await totals(epoch)).toBe(recorded);
    });
  }

  it.each([1, 3, 16, 17, 40])('counts each outcome once when the last %i flushes were lost', async (lost) => {
    const made = await fleet(3);
    for (const each of made) each.record();
    await sync(made);
    await save();
    for (let flush = 0; flush < lost; flush++) {
      for (const each of made) each.record();
      await sync(made);
    }
    await failOver();
    await expectCounted(made, 1, 3 * (lost + 1));
  });

  it('counts each outcome once when what was lost includes the first flush of a process', async () => {
    const [one] = await fleet(1);
    await save();
    const late = new MemberProcess(redis.url, `flag-${flag}`);
    processes.push(late);
    await late.member.start();
    one!.record();
    late.record();
    await sync([one!, late]);
    await failOver();
    await expectCounted([one!, late], 1, 2);
  });

  it.each([true, false])('opens a lost epoch again, with outcomes that wait or not (%s)', async (hasMore) => {
    const made = await fleet(2);
    for (const each of made) each.record();
    await sync(made);
    await save();
    for (const each of made) {
      each.revision = 'fifty';
      each.member.beginEpoch(2, Date.now(), { keepWindows: true });
      each.record({ epoch: 2 });
    }
    await sync(made);
    await failOver();
    if (hasMore) for (const each of made) each.record({ epoch: 2 });
    await expectCounted(made, 2, hasMore ? 4 : 2);
    expect(made.map(({ member }) => member.state!.epoch)).toEqual([2, 2]);
  });

  it('shows every process a stop that replaced one which was lost', async () => {
    const made = await fleet(3);
    await save();
    // The first process alone has this change, which is lost.
    await made[0]!.member.clearStop('none');
    await made[0]!.member.stopFleet({ ...DECISION, id: 'lost' });
    await failOver();
    await eventually(async () => {
      await made[1]!.member.sync();
      await made[1]!.member.stopFleet(DECISION);
      await sync(made);
      expect(made.map(({ member }) => member.state?.stop?.decision.id)).toEqual(Array(3).fill('decision-1'));
    });
  });
});
