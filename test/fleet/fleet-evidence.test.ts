import { expect, it } from 'vitest';
import { failureRegression } from '../../src/triggers/event-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { useMemberFleet } from './member-fleet.js';

const RULES: readonly Trigger[] = [successRateBelow(0.95), failureRegression()];

describeWithBinary('the evidence of a fleet', 'redis-server', 'apt-get install redis-server', () => {
  const members = useMemberFleet();
  const { processes, key } = members;
  /** When the test began. */
  let begin = 0;

  async function fleet(count: number, aheadMs: (index: number) => number = () => 0) {
    members.begin();
    for (let index = 0; index < count; index++) {
      const each = members.make({ rules: RULES, aheadMs: aheadMs(index) });
      await each.member.start();
    }
    await eventually(() => expect(processes[0]!.member.role).toBe('leader'));
    return processes;
  }

  const sync = async () => {
    for (const { member } of processes) await member.sync();
  };
  /** Waits for what has to settle: how far that is depends on the clocks, which are known as well as replies come fast. */
  const settled = (check: () => void) =>
    eventually(async () => {
      await sync();
      check();
    });
  const leader = () => processes.find(({ member }) => member.role === 'leader')!;
  const snapshot = () => leader().member.snapshot(Date.now());
  const evidenceOf = (name: string) => snapshot().evidence!.find(({ trigger }) => trigger === name)!;
  const failures = () => evidenceOf('failure-regression').counts;
  const breached = () =>
    RULES.filter((rule) => rule.evaluate(snapshot(), snapshot().at).status === 'breach').map(
      ({ name }) => name,
    );

  /** One second of a rollout, `seconds` of which end now: each process serves so many requests. */
  async function serve(
    second: number,
    seconds: number,
    requests: number,
    outcome: () => { readonly targetingKey: string; readonly treated: boolean; readonly failed: boolean },
    chance: number,
  ) {
    for (const [index, each] of processes.entries()) {
      for (let request = 0; request < requests; request++) {
        const { targetingKey, treated, failed } = outcome();
        const at = begin - (seconds - second) * 1_000 + request * 9 + index;
        each.record({
          at,
          chance,
          targetingKey,
          arm: treated ? 'treatment' : 'control',
          result: failed ? 'failure' : 'success',
        });
      }
    }
    await sync();
  }

  it('stops a treatment that fails for new users at 1 % within seconds', async () => {
    await fleet(8);
    const random = new Random(11);
    begin = Date.now();
    let user = 0;
    let second = 0;
    for (; second < 60 && breached().length < 2; second++) {
      await serve(
        second,
        60,
        100,
        () => {
          const treated = random.chance(0.01);
          return { targetingKey: `user-${++user}`, treated, failed: treated };
        },
        0.01,
      );
      const sent = processes.length * 100 * (second + 1);
      await eventually(() => {
        const { treatment, control } = snapshot().total;
        expect(treatment.failures + control.successes).toBe(sent);
      });
    }
    // About 8 failures a second; no process has 20 of them before the 20th second.
    expect(second).toBeLessThanOrEqual(8);
  });

  it('stops nothing for 1 % of users who always fail, on all processes and in both arms', async () => {
    await fleet(8);
    const random = new Random(12);
    begin = Date.now();
    for (let second = 0; second < 60; second++) {
      await serve(
        second,
        60,
        50,
        () => {
          const user = Math.floor(random.next() * 2_000);
          return {
            targetingKey: `user-${user}`,
            treated: user % 2 === 0,
            failed: user % 100 < 2 && user % 200 < 100,
          };
        },
        0.5,
      );
      expect(breached()).toEqual([]);
    }
    await eventually(() => {
      const { treatment, control } = snapshot().total;
      const counted = [treatment, control].map((arm) => arm.successes + arm.failures);
      expect(counted[0]! + counted[1]!).toBe(8 * 50 * 60);
    });
    expect(breached()).toEqual([]);
    // Each of the 20 counts once in the whole fleet.
    await settled(() => expect(evidenceOf('failure-regression').events).toBe(20));
  });

  it('places outcomes of processes whose clocks differ in the order of exposures', async () => {
    const minutes = [0, 300_000, -300_000];
    await fleet(3, (index) => minutes[index]!);
    await sync();
    for (const [index, each] of processes.entries()) {
      each.record({ at: Date.now() + minutes[index]!, result: 'failure', targetingKey: `user-${index}` });
    }
    await settled(() => expect(failures().treatment.failures).toBe(3));
    const { at } = leader().member.snapshot(Date.now());
    expect(Math.abs(at - Date.now())).toBeLessThan(1_000);
  });

  it('is evaluated as soon as what delayed it has settled, although nothing comes with that', async () => {
    const [first, slow] = await fleet(2);
    slow!.openSince = Date.now() - 1_000;
    first!.record({ result: 'failure', targetingKey: 'ann' });
    await sync();
    await eventually(() => expect(snapshot().total.treatment.failures).toBe(1));
    expect(failures().treatment.failures).toBe(0);
    const evaluations = first!.evaluations;
    slow!.openSince = undefined;
    await settled(() => expect(failures().treatment.failures).toBe(1));
    expect(first!.evaluations).toBeGreaterThan(evaluations);
  });

  it('is handed on with the checkpoint, what waits for another process included', async () => {
    const [first, second, slow] = await fleet(3);
    slow!.openSince = Date.now() - 1_000;
    second!.record({ result: 'failure', targetingKey: 'ann' });
    await sync();
    await eventually(() => expect(snapshot().total.treatment.failures).toBe(1));
    expect(failures().treatment.failures).toBe(0);
    await first!.member.close();
    processes.shift();
    slow!.openSince = undefined;
    await settled(() => expect(failures().treatment.failures).toBe(1));
  });

  it('keeps the latest of it when Redis has lost a key, and counts nothing twice', async () => {
    const [, second] = await fleet(2);
    for (let user = 0; user < 10; user++) second!.record({ result: 'failure', targetingKey: `sent-${user}` });
    // What one process settled waits for the next sync of the other.
    await settled(() => expect(failures().treatment.failures).toBe(10));
    await members.client.del(key('state'));
    for (let user = 0; user < 10; user++) second!.record({ result: 'failure', targetingKey: `not-${user}` });
    await settled(() => expect(snapshot().total.treatment.failures).toBe(20));
    await settled(() => expect(failures().treatment.failures).toBe(20));
    expect(evidenceOf('success-rate-below').counts.treatment).toEqual({ trials: 20, failures: 20 });
    expect(snapshot().windows[0]!.settled.treatment).toEqual({ trials: 20, failures: 20 });
    second!.record({ result: 'failure', targetingKey: 'after' });
    await settled(() => expect(failures().treatment.failures).toBe(21));
    expect(breached()).toContain('success-rate-below');
  });
});
