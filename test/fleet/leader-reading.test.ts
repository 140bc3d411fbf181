import { expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { useMemberFleet } from './member-fleet.js';
import type { MemberProcess, MemberRule } from './member-process.js';

describeWithBinary('the leader of a fleet', 'redis-server', 'apt-get install redis-server', () => {
  const members = useMemberFleet();
  const { processes, key } = members;

  async function fleet(...options: ConstructorParameters<typeof MemberProcess>[2][]) {
    members.begin();
    const made = options.map((each) => members.make(each));
    for (const { member } of made) await member.start();
    await eventually(() => expect(made[0]!.member.role).toBe('leader'));
    return made;
  }

  const counted = ({ member }: MemberProcess) => member.snapshot(Date.now()).total.treatment.successes;

  it.each<[string, Record<string, string>]>([
    ['of foreign fields', { hello: 'world', more: '1' }],
    ['of a kind that a newer version has', { outcomes: '{"version":9}', from: 'x' }],
    ['with garbage for a delta', { delta: '\u0000{"', from: 'x', feeds: '' }],
    ['of a former version', { delta: '{}' }],
    ['with a delta of another version', { delta: '{"version":99}', from: 'x', feeds: '' }],
    ['with garbage for an epoch', { epoch: 'seven' }],
    ['with an epoch that the fleet has not reached', { epoch: '{"epoch":9000,"at":1,"keepWindows":false}' }],
    ['that is huge', { delta: `"${'x'.repeat(3_000_000)}"`, from: 'x', feeds: '' }],
    ['without a value', { delta: '' }],
  ])('leaves out an entry %s, and reads on', async (_, fields) => {
    const [leader, other] = await fleet({}, {});
    other!.record();
    await other!.member.sync();
    for (let times = 0; times < 2; times++) await members.client.xAdd(key('deltas'), '*', fields);
    other!.record();
    await other!.member.sync();
    await eventually(() => expect(counted(leader!)).toBe(2));
    expect([leader!.member.losses.unreadable, leader!.member.isCurrent]).toEqual([2, true]);
    expect(leader!.faults[0]).toMatch(/cannot be read/);
    // They are not read again.
    other!.record();
    await other!.member.sync();
    await eventually(() => expect(counted(leader!)).toBe(3));
    expect(leader!.member.losses.unreadable).toBe(2);
  });

  it('that rests is woken by the next delta, without its timers', async () => {
    const [leader, other] = await fleet({ evaluateMs: 3_600_000 }, {});
    const wakesUp = async () => {
      await eventually(async () => {
        leader!.member.leader!.poll();
        expect(await members.client.hGet(key('state'), 'resting')).toBe('1');
      });
      other!.record();
      await other!.member.sync();
    };
    await wakesUp();
    await eventually(() => expect(counted(leader!)).toBe(1));
    await wakesUp();
    await eventually(() => expect(counted(leader!)).toBe(2));
    expect(await members.client.hGet(key('state'), 'resting')).toBeNull();
  });

  it('is in the fleet’s epoch although the entry that announced it is gone', async () => {
    const [leader, other] = await fleet({}, {});
    other!.revision = 'fifty';
    other!.member.beginEpoch(2, Date.now(), { keepWindows: true });
    other!.record({ epoch: 2 });
    other!.onSync = {
      after: async () => {
        for (const entry of (await members.client.xRange(key('deltas'), '-', '+')) ?? []) {
          if (entry && 'epoch' in entry.message) await members.client.xDel(key('deltas'), entry.id);
        }
      },
    };
    await other!.member.sync();
    await eventually(() => expect([counted(leader!), leader!.member.isCurrent]).toEqual([1, true]));
  });

  it.each(['{"version":1,"upTo":"0-1","dump":{}}', 'not JSON'])(
    'collects everything anew when it takes over with the checkpoint %j',
    async (text) => {
      const [leader, ...others] = await fleet({}, {}, {});
      for (const each of others) each.record();
      for (const { member } of others) await member.sync();
      await eventually(() => expect(counted(leader!)).toBe(2));
      await leader!.member.close();
      processes.splice(processes.indexOf(leader!), 1);
      await members.client.set(key('checkpoint'), `${others[0]!.member.state!.datasetId}${text}`);
      // As after a checkpoint: what was in it is no longer in the stream.
      await members.client.xTrim(key('deltas'), 'MAXLEN', 0);
      for (const each of others) each.record();
      await eventually(async () => {
        for (const { member } of others) await member.sync();
        expect(counted(others.find(({ member }) => member.role === 'leader')!)).toBe(4);
      });
      expect(others.flatMap(({ faults }) => faults).join()).toMatch(/checkpoint.*another version/);
    },
  );

  const minute: MemberRule = { name: 'failing', windowMs: 60_000 };
  const regression = { test: 'event', event: 'failure', alpha: 0.05, ratio: 1, minDifference: 0 } as const;

  it('counts windows that others do not keep, and reports whose rules differ', async () => {
    const rules = [
      { ...minute, windowMs: 120_000 },
      { ...minute, name: 'short', windowMs: 10_000 },
      { name: 'regression', windowMs: 0, evidence: regression },
    ];
    const [leader, ...others] = await fleet({ rules }, { rules: [minute] }, { rules: [minute] }, { rules });
    const report = async () => {
      for (const other of others) {
        other.record();
        await other.member.sync();
      }
    };
    await report();
    await eventually(() => {
      const { windows } = leader!.member.snapshot(Date.now());
      expect(windows.map(({ treatment }) => treatment.successes)).toEqual([3, 3]);
    });
    await eventually(async () => {
      expect(leader!.member.losses.unfed).toEqual([
        { rule: 'failing', needs: 'window', processes: 2 },
        { rule: 'short', needs: 'window', processes: 2 },
        { rule: 'regression', needs: 'test', processes: 2 },
      ]);
      await report();
      expect(leader!.faults.join()).toMatch(/the rule regression.*2 processes run other rules/);
    });
  });

  it('reports nothing when only the certainty of a test differs', async () => {
    const rule = { name: 'regression', windowMs: 0, evidence: regression };
    const sure = { ...rule, evidence: { ...regression, alpha: 0.01 } };
    const [leader, other] = await fleet({ rules: [rule] }, { rules: [sure] });
    other!.record();
    await other!.member.sync();
    await eventually(() => expect(counted(leader!)).toBe(1));
    expect(leader!.member.losses.unfed).toEqual([]);
  });

  it('knows up to when all outcomes have come', async () => {
    const [leader, other, third] = await fleet({}, {}, {});
    const settled = () => leader!.settledUpTo.at(-1) ?? 0;
    // Clocks are compared by how long replies take, which may be long on a machine that is busy.
    const SLACK_MS = 1_000;
    const afterSync = (check: () => void) =>
      eventually(async () => {
        for (const { member } of [leader!, other!, third!]) await member.sync();
        check();
      });
    const from = Date.now();
    // Nothing is open: all is settled up to the syncs.
    await afterSync(() => expect(settled()).toBeGreaterThanOrEqual(from - SLACK_MS));
    expect(settled()).toBeLessThanOrEqual(Date.now());
    other!.openSince = from - 5_000;
    await afterSync(() => expect(Math.abs(settled() - (from - 5_000))).toBeLessThan(SLACK_MS));
    other!.openSince = undefined;
    const later = Date.now();
    await afterSync(() => expect(settled()).toBeGreaterThanOrEqual(later - SLACK_MS));
    // A process that leaves is not waited for.
    other!.openSince = from - 5_000;
    await afterSync(() => expect(Math.abs(settled() - (from - 5_000))).toBeLessThan(SLACK_MS));
    await other!.member.close();
    processes.splice(processes.indexOf(other!), 1);
    await eventually(async () => {
      for (const { member } of [leader!, third!]) await member.sync();
      expect(settled()).toBeGreaterThanOrEqual(later - SLACK_MS);
    });
  });

  it('does not wait for the outcomes of a process that is silent for longer than the lease', async () => {
    const lease = { leaseMs: 2_000 };
    const [leader, other] = await fleet(lease, lease);
    other!.openSince = Date.now() - 60_000;
    await eventually(async () => {
      await other!.member.sync();
      expect(leader!.settledUpTo.at(-1)).toBeLessThan(Date.now() - 50_000);
    });
    await eventually(async () => {
      await leader!.member.sync();
      expect(leader!.settledUpTo.at(-1)).toBeGreaterThan(Date.now() - 10_000);
    });
  });
});
