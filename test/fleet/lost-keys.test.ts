import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { DECISION } from '../helpers/fleet-decision.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { useMemberFleet } from './member-fleet.js';
import { type MemberProcess, RULES } from './member-process.js';

/** Every key of a flag. */
const KEYS = ['state', 'members', 'seen', 'settled', 'leader', 'deltas', 'checkpoint', 'totals:1'] as const;

/** Of windows that end long after the test. */
const LONG_RULES = RULES.map((rule) => ({ ...rule, windowMs: rule.windowMs * 60 }));

/** Every subset of the keys but the empty one. */
const SUBSETS = Array.from({ length: 2 ** KEYS.length - 1 }, (_, index) =>
  KEYS.filter((_key, bit) => ((index + 1) >> bit) & 1),
);

describeWithBinary('a fleet whose keys are lost', 'redis-server', 'apt-get install redis-server', () => {
  const members = useMemberFleet();
  const { processes, key } = members;

  async function fleet(count: number): Promise<MemberProcess[]> {
    members.begin();
    const made = Array.from({ length: count }, () => members.make({ rules: LONG_RULES }));
    for (const { member } of made) await member.start();
    return made;
  }

  const lose = (names: readonly string[]) => members.client.del(names.map(key));

  /** What the leader has counted, and what is in Redis, once all have sent everything. */
  async function expectCounted(made: readonly MemberProcess[], recorded: number): Promise<void> {
    await eventually(async () => {
      for (const { member } of made) await member.sync();
      const leader = made.find(({ member }) => member.role === 'leader');
      const totals = await members.client.hGet(key('totals:1'), 'successes:treatment');
      expect([leader?.totals().treatment.successes, Number(totals ?? 0)]).toEqual([recorded, recorded]);
      const { windows } = leader!.member.snapshot(Date.now());
      expect(windows.map(({ treatment }) => treatment.successes)).toEqual([recorded, recorded]);
    });
  }

  it('counts each outcome once, whichever keys are lost', { timeout: 120_000 }, async () => {
    const made = await fleet(3);
    let recorded = 0;
    const record = () => {
      for (const each of made) each.record();
      recorded += made.length;
    };
    for (const subset of SUBSETS) {
      record();
      // Some of it has been read, some not yet, and some waits.
      await made[0]!.member.sync();
      record();
      await made[1]!.member.sync();
      await lose(subset);
      record();
      await expectCounted(made, recorded).catch((error) => {
        throw new Error(`after the loss of ${subset.join(', ')}`, { cause: error });
      });
    }
  });

  it('counts each outcome once, at whichever moment keys are lost and replies do not arrive', {
    timeout: 120_000,
  }, async () => {
    const step = fc.record({
      who: fc.nat({ max: 2 }),
      what: fc.constantFrom('record', 'sync', 'lose-before', 'lose-after', 'no-reply'),
      lost: fc.nat({ max: SUBSETS.length - 1 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const made = await fleet(3);
        let recorded = 0;
        for (const { who, what, lost } of steps) {
          const each = made[who]!;
          if (what === 'record') {
            each.record();
            recorded++;
          } else {
            each.onSync = {
              before: what === 'lose-before' ? () => lose(SUBSETS[lost]!) : undefined,
              after: what === 'lose-after' ? () => lose(SUBSETS[lost]!) : undefined,
              isUnanswered: what === 'no-reply',
            };
            await each.member.sync();
            each.onSync = {};
          }
        }
        await expectCounted(made, recorded);
        await Promise.all(processes.splice(0).map(({ member }) => member.close()));
      }),
      { numRuns: 60 },
    );
  });

  it('counts each outcome once when Redis evicts keys', async () => {
    const made = await fleet(4);
    let recorded = 0;
    const key = (index: number) => `other:${index}`;
    await members.client.configSet({ maxmemory: '4mb', 'maxmemory-policy': 'volatile-lru' });
    try {
      for (let round = 0; round < 60; round++) {
        for (const each of made) each.record();
        recorded += made.length;
        // Another user of this Redis, whose keys do not expire: the fleet's are evicted.
        await members.client
          .set(key(round), 'x'.repeat(60_000))
          .catch(() => members.client.del([...Array(round).keys()].map(key)));
        for (const { member } of made) await member.sync();
      }
      expect(Number(/evicted_keys:(\d+)/.exec(await members.client.info('stats'))![1])).toBeGreaterThan(0);
    } finally {
      await members.client.configSet({ maxmemory: '0', 'maxmemory-policy': 'noeviction' });
    }
    await expectCounted(made, recorded);
  });

  it('takes a stop from before the flag went off, also when all is lost', async () => {
    const made = await fleet(2);
    for (const each of made) {
      each.revision = 'off';
      each.member.beginEpoch(2, Date.now(), { keepWindows: true });
      await each.member.sync();
    }
    await lose([...KEYS, 'totals:2']);
    for (const { member } of made) await member.sync();
    expect(made[0]!.member.state).toMatchObject({ epoch: 2 });
    await made[0]!.member.stopFleet({ ...DECISION, epoch: 1 }, { isRepeated: true });
    await made[1]!.member.sync();
    expect(made.map(({ member }) => member.state!.stop?.decision.id)).toEqual(['decision-1', 'decision-1']);
    expect(made[0]!.member.state!.clearedStops).toEqual([]);
  });

  it('keeps a stop whatever is lost', async () => {
    const made = await fleet(2);
    await made[0]!.member.stopFleet(DECISION);
    await lose(KEYS.filter((name) => name !== 'state'));
    for (const { member } of made) await member.sync();
    expect(made.map(({ member }) => member.state!.stop?.decision.id)).toEqual(['decision-1', 'decision-1']);
  });
});
