import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Outcome } from '../../src/model/shapes.js';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { outcomeOf } from '../measure/outcomes.js';
import { MemberProcess, WINDOWS_MS } from './member-process.js';

describeWithBinary('FleetMember', 'redis-server', 'apt-get install redis-server', () => {
  let redis: RedisServer;
  let flag = 0;
  const processes: MemberProcess[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always');
  });

  afterEach(async () => {
    expect(processes.flatMap(({ faults }) => faults)).toEqual([]);
    await Promise.all(processes.splice(0).map(({ member }) => member.close()));
  });

  afterAll(() => redis.close());

  async function fleet(
    ...options: ConstructorParameters<typeof MemberProcess>[2][]
  ): Promise<MemberProcess[]> {
    flag++;
    const made: MemberProcess[] = [];
    for (const each of options) {
      const process = new MemberProcess(redis.url, `flag-${flag}`, each);
      processes.push(process);
      made.push(process);
      await process.member.start();
    }
    return made;
  }

  const sync = (made: readonly MemberProcess[]) => Promise.all(made.map(({ member }) => member.sync()));

  it('makes the first process the leader and the others followers', async () => {
    const [one, other] = await fleet({}, {});
    await eventually(() => expect(one!.member.role).toBe('leader'));
    expect(other!.member.role).toBe('follower');
    expect([one!.member.state?.epoch, other!.member.state?.epoch]).toEqual([1, 1]);
  });

  it('never leads without `mayLead`', async () => {
    const [one, other] = await fleet({ mayLead: false }, {});
    await eventually(() => expect(other!.member.role).toBe('leader'));
    expect(one!.member.role).toBe('follower');
  });

  it('gives the leader the same totals as one process that recorded everything', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            who: fc.nat({ max: 2 }),
            arm: fc.constantFrom('treatment' as const, 'control' as const),
            result: fc.constantFrom('success' as const, 'failure' as const, 'expected' as const),
            durationMs: fc.integer({ min: 1, max: 5_000 }),
            errorType: fc.constantFrom('ECONNRESET', 'TimeoutError', '__proto__'),
            flush: fc.boolean(),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        async (steps) => {
          const made = await fleet({}, {}, {});
          const alone = new MemoryOutcomeStore({
            flagKey: `flag-${flag}`,
            windowsMs: WINDOWS_MS,
            now: Date.now(),
          });
          alone.beginEpoch(1, Date.now(), { keepWindows: true });
          await eventually(() => expect(made[0]!.member.role).toBe('leader'));
          for (const [index, { who, flush, ...facts }] of steps.entries()) {
            const outcome: Outcome = outcomeOf({ ...facts, at: Date.now(), targetingKey: `user-${index}` });
            made[who]!.own.record(outcome);
            alone.record(outcome);
            if (flush) await made[who]!.member.sync();
          }
          await sync(made);
          const expected = alone.snapshot(Date.now()).total;
          await eventually(() => {
            const { treatment, control } = made[0]!.totals();
            for (const [found, wanted] of [
              [treatment, expected.treatment],
              [control, expected.control],
            ] as const) {
              expect({ ...found, latency: undefined, lastOutcomeAt: undefined }).toEqual({
                ...wanted,
                latency: undefined,
                lastOutcomeAt: undefined,
              });
              expect(found.latency?.count).toBe(wanted.latency?.count);
              expect(found.latency?.p95Ms).toBe(wanted.latency?.p95Ms);
            }
            const { windows } = made[0]!.member.snapshot(Date.now());
            expect(windows[1]!.treatment.successes).toBe(expected.treatment.successes);
          });
          await Promise.all(processes.splice(0).map(({ member }) => member.close()));
        },
      ),
      { numRuns: 8 },
    );
  });

  it('counts outcomes in the right windows when clocks differ by minutes', async () => {
    const [leader, ahead, behind] = await fleet({}, { aheadMs: 10 * 60_000 }, { aheadMs: -10 * 60_000 });
    for (const [process, aheadMs] of [
      [ahead!, 10 * 60_000],
      [behind!, -10 * 60_000],
    ] as const) {
      process.record({ at: Date.now() + aheadMs });
      await process.member.sync();
    }
    await eventually(() => {
      const { windows, total } = leader!.member.snapshot(Date.now());
      expect(windows.map(({ treatment }) => treatment.successes)).toEqual([2, 2]);
      expect(Math.abs(total.treatment.lastOutcomeAt! - Date.now())).toBeLessThan(10_000);
    });
  });

  it('lets a new leader resume with the totals of the last one', async () => {
    const [first, other] = await fleet({}, {});
    for (let i = 0; i < 5; i++) first!.record({ result: 'failure' });
    other!.record();
    await sync([first!, other!]);
    await eventually(() => expect(first!.totals().treatment).toMatchObject({ failures: 5, successes: 1 }));
    // After the last checkpoint.
    for (let i = 0; i < 3; i++) first!.record({ arm: 'control' });
    await first!.member.sync();
    await eventually(() => expect(first!.totals().control.successes).toBe(3));
    await first!.member.close();
    await eventually(async () => {
      await other!.member.sync();
      expect(other!.member.role).toBe('leader');
    });
    expect(other!.totals().treatment).toMatchObject({ failures: 5, successes: 1 });
    expect(other!.totals().control.successes).toBe(3);
  });

  it('counts outcomes in the epoch in which they were recorded, also when they are sent after it', async () => {
    const [leader, other] = await fleet({}, {});
    other!.record();
    leader!.revision = 'fifty';
    leader!.member.beginEpoch(2, Date.now(), { keepWindows: true });
    await sync([leader!, other!]);
    other!.revision = 'fifty';
    other!.record({ result: 'failure' });
    other!.member.beginEpoch(2, Date.now(), { keepWindows: true });
    other!.record({ epoch: 2, arm: 'control' });
    await sync([leader!, other!]);
    await eventually(() => {
      const { epoch, windows, total } = leader!.member.snapshot(Date.now());
      expect(epoch).toBe(2);
      expect(total.treatment).toMatchObject({ successes: 0, failures: 0 });
      expect(total.control.successes).toBe(1);
      expect(windows[0]!.treatment).toMatchObject({ successes: 1, failures: 1 });
    });
    const client = await redis.client();
    const totals = (epoch: number) =>
      client.hGetAll(`rollout-guard:{production/flag-${flag}}:totals:${epoch}`);
    expect(await totals(1)).toMatchObject({ 'successes:treatment': '1', 'failures:treatment': '1' });
    expect(await totals(2)).toMatchObject({ 'successes:control': '1' });
    await client.close();
  });

  it('loses nothing when the rollout changes twice between two flushes', async () => {
    const [leader, other] = await fleet({}, {});
    other!.record();
    other!.member.beginEpoch(2, Date.now(), { keepWindows: true });
    other!.record({ epoch: 2 });
    other!.revision = 'fifty';
    other!.member.beginEpoch(3, Date.now(), { keepWindows: true });
    for (let i = 0; i < 5; i++) {
      other!.record({ epoch: 3 });
      await other!.member.sync();
    }
    leader!.revision = 'fifty';
    leader!.member.beginEpoch(3, Date.now(), { keepWindows: true });
    await sync([leader!, other!]);
    await eventually(() => {
      const { windows, total } = leader!.member.snapshot(Date.now());
      expect(windows[0]!.treatment.successes).toBe(7);
      expect(total.treatment.successes).toBe(5);
    });
    expect(other!.epochs).toEqual([1, 1, 3]);
  });

  it('evaluates its own share while Redis is silent, and counts each outcome once afterwards', async () => {
    const [leader, other] = await fleet(...Array(2).fill({ leaseMs: 2_000, timeoutMs: 1_500 }));
    await eventually(async () => {
      await leader!.member.sync();
      expect(leader!.member.role).toBe('leader');
    });
    redis.freeze();
    try {
      for (let i = 0; i < 7; i++) other!.record();
      // Its reply comes at last, after it has been sent once more.
      void other!.member.sync();
      await eventually(async () => {
        await sync([leader!, other!]);
        expect([leader!.member.role, other!.member.role]).toEqual(['standalone', 'standalone']);
      });
      expect(other!.totals().treatment.successes).toBe(7);
      other!.record({ result: 'failure' });
    } finally {
      redis.thaw();
    }
    await eventually(async () => {
      await sync([leader!, other!]);
      // The lease has expired: either may have the next one.
      const current = [leader!, other!].find(({ member }) => member.role === 'leader');
      expect(current?.totals().treatment).toMatchObject({ successes: 7, failures: 1 });
    });
    expect(other!.problems).toEqual([expect.stringMatching(/Redis/), undefined]);
  });

  it('resumes after a restart of Redis that kept its data', async () => {
    const [leader, other] = await fleet({}, {});
    other!.record();
    await other!.member.sync();
    await eventually(() => expect(leader!.totals().treatment.successes).toBe(1));
    await redis.kill();
    other!.record();
    await other!.member.sync();
    await redis.resume();
    await eventually(async () => {
      await sync([leader!, other!]);
      expect(leader!.member.role).not.toBe('standalone');
      expect(leader!.member.role === 'leader' ? leader!.totals() : other!.totals()).toMatchObject({
        treatment: { successes: 2 },
      });
    });
  });

  it('sends the current epoch to a Redis that lost its data', async () => {
    const [leader, other] = await fleet({}, {});
    leader!.record({ arm: 'control' });
    other!.record();
    await sync([leader!, other!]);
    const client = await redis.client();
    await client.flushAll();
    await client.close();
    other!.record({ result: 'failure' });
    await eventually(async () => {
      await sync([leader!, other!]);
      const current = leader!.member.role === 'leader' ? leader! : other!;
      expect(current.member.role).toBe('leader');
      expect(current.totals()).toMatchObject({
        treatment: { successes: 1, failures: 1 },
        control: { successes: 1 },
      });
    });
    expect(leader!.member.state!.epoch).toBe(1);
    for (const each of [leader!, other!]) {
      expect(each.faults.splice(0)).toEqual([expect.stringContaining('it had lost data')]);
    }
  });
});
