import { afterEach, expect, it } from 'vitest';
import { FleetError } from '../../src/fleet/fleet-link.js';
import { RedisReader } from '../../src/fleet/redis/redis-reader.js';
import { SERIES } from '../../src/rollups/book-state.js';
import type { RolloutHistory } from '../../src/rollups/rollup.js';
import { eventually } from '../helpers/eventually.js';
import { DECISION } from '../helpers/fleet-decision.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { useMemberFleet } from './member-fleet.js';
import type { MemberProcess } from './member-process.js';

const MINUTE = 60_000;

describeWithBinary("a fleet's rollups", 'redis-server', 'apt-get install redis-server', () => {
  const members = useMemberFleet();
  const readers: RedisReader[] = [];
  /** How far the processes' clocks are ahead of Redis' until they sync. */
  let jumpMs = 0;
  const now = () => Date.now() + jumpMs;
  /** How long the processes run by now, beyond what has passed in the test. */
  let ranMs = 0;
  const monotonic = () => performance.now() + ranMs;

  afterEach(() => {
    jumpMs = 0;
    ranMs = 0;
    for (const reader of readers.splice(0)) reader.close();
  });

  function reader() {
    const made = new RedisReader({ url: members.url });
    readers.push(made);
    return made;
  }

  const history = (range = {}) =>
    reader().history({ environment: 'production', flagKey: members.flagKey }, range);
  const successes = ({ rollups }: RolloutHistory) =>
    rollups.reduce((sum, { arms }) => sum + arms.treatment.successes, 0);

  async function started(options: Parameters<typeof members.make>[0] = {}): Promise<MemberProcess> {
    const made = members.make({ now, monotonic, ...options });
    await made.member.start();
    return made;
  }

  const sync = async (made: readonly MemberProcess[]) => {
    for (const { member } of made) await member.sync();
  };

  /** Resolves when the leader has saved the rollups of so many outcomes. */
  const saved = (made: readonly MemberProcess[], outcomes: number) =>
    eventually(async () => {
      // A leader saves every two seconds.
      ranMs += 2_000;
      await sync(made);
      expect(successes(await history())).toBe(outcomes);
    }, 50);

  it('have the outcomes of all, once, with the versions of all', async () => {
    members.begin();
    const fleet = [await started({ serviceVersion: '1.0' }), await started({ serviceVersion: '1.1' })];
    for (let round = 0; round < 3; round++) {
      for (const each of fleet) each.record({ durationMs: 10 + round });
      for (const each of fleet) each.record({ arm: 'control', result: 'failure', errorType: '__proto__' });
      await sync(fleet);
    }
    await saved(fleet, 6);
    const { rollups } = await history();
    const total = rollups.reduce((sum, { arms }) => sum + arms.control.failures, 0);
    expect(total).toBe(6);
    expect(rollups.flatMap(({ arms }) => arms.control.errorTypes.map(([name]) => name))).toContain(
      '__proto__',
    );
    expect(new Set(rollups.flatMap(({ serviceVersions }) => serviceVersions))).toEqual(
      new Set(['1.0', '1.1']),
    );
    expect(rollups[0]?.percentage).toBe(10);
  });

  it('lose and double nothing when leaders change, and minutes pass meanwhile', async () => {
    members.begin();
    let recorded = 0;
    const record = (each: MemberProcess, count: number) => {
      for (let index = 0; index < count; index++) each.record();
      recorded += count;
    };
    let leader = await started();
    const other = await started({ mayLead: false });
    for (let turn = 0; turn < 3; turn++) {
      record(leader, 5);
      record(other, 7);
      await sync([leader, other]);
      await saved([leader, other], recorded);
      // A minute is over for the leader; what comes then is in the next one.
      jumpMs += MINUTE;
      record(other, 2);
      await sync([other]);
      record(leader, 1);
      await leader.member.sync();
      const before = leader;
      // It ends without a word, in the middle of what it has read.
      before.link.read = () => new Promise(() => {});
      before.link.saveCheckpoint = () => new Promise(() => {});
      before.link.sync = () => Promise.reject(new FleetError('UNREACHABLE', 'It is gone.'));
      await members.client.pExpire(members.key('leader'), 1);
      leader = await started();
      await eventually(async () => {
        await leader.member.sync();
        expect(leader.member.role).toBe('leader');
      }, 50);
    }
    await saved([leader, other], recorded);
    const { rollups } = await history();
    expect(new Set(rollups.map(({ at, durationMs }) => `${at} ${durationMs}`)).size).toBe(rollups.length);
  });

  it('add no line twice when the reply of Redis is lost', async () => {
    members.begin();
    const leader = await started();
    const save = leader.link.saveCheckpoint.bind(leader.link);
    let lost = 0;
    leader.link.saveCheckpoint = async (...args) => {
      const isSaved = await save(...args);
      if (args[3].lines.length === 0 || lost > 1) return isSaved;
      lost += 1;
      throw new FleetError('TIMEOUT', 'Redis does not reply.');
    };
    let recorded = 0;
    for (let minute = 0; minute < 3; minute++) {
      leader.record();
      recorded += 1;
      await leader.member.sync();
      await saved([leader], recorded);
      jumpMs += MINUTE;
      leader.events.push({ type: 'decided', at: now(), decision: DECISION });
    }
    leader.record();
    await saved([leader], recorded + 1);
    expect(lost).toBe(2);
    const counts = await Promise.all(
      SERIES.map(({ name }) => members.client.lLen(members.key(`rollups:${name}`))),
    );
    expect(Number(await members.client.hGet(members.key('rollups'), 'linesAdded'))).toBe(
      counts.reduce((sum, count) => sum + count, 0),
    );
  });

  it('stay when the rest of the data is lost, and count nothing of it again', async () => {
    members.begin();
    const fleet = [await started(), await started()];
    for (const each of fleet) each.record();
    await saved(fleet, 2);
    for (const name of [
      'state',
      'members',
      'seen',
      'settled',
      'leader',
      'deltas',
      'checkpoint',
      'totals:1',
    ]) {
      await members.client.del(members.key(name));
    }
    await eventually(async () => {
      await sync(fleet);
      const leader = fleet.find(({ member }) => member.role === 'leader');
      expect(leader?.totals().treatment.successes).toBe(2);
    });
    for (const each of fleet) each.record();
    await saved(fleet, 4);
  });

  it('are bounded, and read without what was removed', async () => {
    members.begin();
    const leader = await started();
    await leader.member.sync();
    const book = { running: [], versions: [] };
    const [line, end] = [(at: number) => `{"at":${at},"durationMs":60000,"data":"AAAA"}`, MINUTE];
    const lines = Array.from({ length: 1_805 }, (_, index) => ({
      series: 'minutes' as const,
      line: line(index * MINUTE),
      end: index * MINUTE + end,
    }));
    await eventually(async () => {
      const value = await members.client.get(members.key('leader'));
      expect(value).toContain(leader.member.instance);
    });
    const [, fence, datasetId] = (await members.client.get(members.key('leader')))!.split(' ');
    const lease = { fence: Number(fence), datasetId: datasetId! };
    const earlier = { book, pending: [] };
    const linesAdded = Number((await members.client.hGet(members.key('rollups'), 'linesAdded')) ?? 0);
    expect(
      await leader.link.saveCheckpoint(lease, '', '{}', { earlier, lines, linesAdded, events: [] }),
    ).toBe(true);
    expect(await members.client.lLen(members.key('rollups:minutes'))).toBe(1_800);
    expect(await members.client.hGet(members.key('rollups'), 'removed:minutes')).toBe(String(5 * MINUTE));
    expect(await members.client.lIndex(members.key('rollups:minutes'), 0)).toBe(line(5 * MINUTE));
  });

  it('mark what the leader reported, each once over leaders', async () => {
    members.begin();
    const leader = await started();
    const at = Date.now();
    leader.events.push({ type: 'rollout-changed', at, epoch: 1, enabled: true, rolloutPercentage: 10 });
    leader.events.push({ type: 'decided', at: at + 1, decision: DECISION });
    leader.record();
    await saved([leader], 1);
    await leader.member.close();
    const next = await started();
    next.events.push({ type: 'rollout-changed', at: at + 2, epoch: 1, enabled: true, rolloutPercentage: 10 });
    next.record();
    await saved([leader, next], 2);
    const { annotations } = await history();
    expect(annotations.map(({ type, title }) => `${type} ${title}`)).toEqual([
      'percentage 10 %',
      'decision stop',
    ]);
  });

  it('come with the processes that run, and what they are', async () => {
    members.begin();
    const fleet = [await started({ serviceVersion: '1.0' }), await started({ serviceVersion: '1.1' })];
    const seen = () =>
      fleet[0]!.processes.listed.map(({ instance, serviceVersion }) => [instance, serviceVersion]);
    const expected = fleet.map(({ link }, index) => [link.instance, `1.${index}`]);
    await eventually(async () => {
      await sync(fleet);
      expect(seen().sort()).toEqual([...expected].sort());
    }, 50);
    expect(fleet[0]!.processes.groups).toHaveLength(2);
    await fleet[1]!.member.close();
    await eventually(() => expect(seen()).toEqual([expected[0]]), 50);
  });

  it("show the leader's view, and the flags that there are", async () => {
    members.begin();
    const leader = await started();
    leader.view = '{"made":"by another version"}';
    await leader.member.sync();
    const flag = { environment: 'production', flagKey: members.flagKey };
    await eventually(async () => expect(await members.client.get(members.key('view'))).toBe(leader.view));
    expect(await reader().view(flag)).toBeUndefined();
    await eventually(async () => expect(await reader().flags()).toContainEqual(flag));
    expect(await reader().view({ environment: 'production', flagKey: 'none' })).toBeUndefined();
    expect((await reader().history({ environment: 'production', flagKey: 'none' })).rollups).toEqual([]);
  });
});
