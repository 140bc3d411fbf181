import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExposureLedger } from '../../src/measure/exposure-ledger.js';
import type { Exposure } from '../../src/model/shapes.js';

function exposure(targetingKey: string | undefined, over: Partial<Exposure> = {}): Exposure {
  return {
    flagKey: 'async-upload',
    arm: 'treatment',
    variant: undefined,
    reason: 'SPLIT',
    errorCode: undefined,
    targetingKey,
    epoch: 1,
    at: 1000,
    ...over,
  };
}

describe('ExposureLedger', () => {
  it('finds the latest exposure of each user', () => {
    const ledger = new ExposureLedger(10_000);
    const latest = exposure('ann', { arm: 'control', at: 2000 });
    const other = exposure('bob');
    for (const one of [exposure('ann'), other, latest]) ledger.remember(one);
    expect(ledger.find('ann', 2000)).toBe(latest);
    expect(ledger.find('bob', 2000)).toBe(other);
    expect(ledger.find('cem', 2000)).toBeUndefined();
  });

  it('finds it again, and a later one in its place', () => {
    const ledger = new ExposureLedger(10_000);
    const [first, second] = [exposure('ann'), exposure('ann', { at: 1500 })];
    ledger.remember(first);
    expect(ledger.find('ann', 2000)).toBe(first);
    expect(ledger.find('ann', 2000)).toBe(first);
    ledger.remember(second);
    expect(ledger.find('ann', 2000)).toBe(second);
  });

  it('finds an exposure of an earlier epoch: it still has the arm that ran', () => {
    const ledger = new ExposureLedger(10_000);
    const earlier = exposure('ann', { epoch: 1 });
    ledger.remember(earlier);
    ledger.remember(exposure('bob', { epoch: 2 }));
    expect(ledger.find('ann', 1000)).toBe(earlier);
  });

  it('finds an exposure for 30 minutes, or for the given time, and no longer', () => {
    const ledger = new ExposureLedger(10_000);
    ledger.remember(exposure('ann', { at: 1000 }));
    expect(ledger.find('ann', 1_801_000)).toBeDefined();
    expect(ledger.find('ann', 1_801_001)).toBeUndefined();
    expect(ledger.find('ann', 1_801_001, Number.POSITIVE_INFINITY)).toBeDefined();
  });

  it('remembers nothing without a targeting key, and an empty one as any other', () => {
    const ledger = new ExposureLedger(2);
    const empty = exposure('');
    ledger.remember(empty);
    for (let i = 0; i < 10; i++) ledger.remember(exposure(undefined));
    expect(ledger.find('', 1000)).toBe(empty);
    expect(ledger.find('undefined', 1000)).toBeUndefined();
  });

  it('keeps the last maxUsers exposures without a find between them', () => {
    const ledger = new ExposureLedger(3);
    // Only the ring is at work until the first find: a's exposure is overwritten by d's.
    for (const user of ['a', 'b', 'c', 'd']) ledger.remember(exposure(user));
    expect(ledger.find('a', 1000)).toBeUndefined();
    expect(ledger.find('d', 1000)).toBeDefined();
  });

  it('keeps a quiet user while a few others are busy, if a find comes now and then', () => {
    const ledger = new ExposureLedger(100);
    ledger.remember(exposure('quiet'));
    for (let i = 0; i < 10_000; i++) {
      ledger.remember(exposure(`busy-${i % 40}`));
      if (i % 50 === 0) ledger.find('busy-0', 1000);
    }
    expect(ledger.find('quiet', 1000)).toBeDefined();
  });

  it('always finds the latest maxUsers / 2 users, never a wrong one, and at most maxUsers of them', () => {
    const step = fc.record({ user: fc.integer({ min: 0, max: 60 }), find: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 200 }), (maxUsers, steps) => {
        const ledger = new ExposureLedger(maxUsers);
        const latest = new Map<string, Exposure>();
        let sinceFind = 0;
        for (const { user, find } of steps) {
          const one = exposure(`user-${user}`);
          ledger.remember(one);
          latest.delete(`user-${user}`);
          latest.set(`user-${user}`, one);
          sinceFind += 1;
          if (find || sinceFind === maxUsers) {
            expect(ledger.find(`user-${user}`, 1000)).toBe(one);
            sinceFind = 0;
          }
        }
        const newestFirst = [...latest].reverse();
        const found = newestFirst.map(([user]) => ledger.find(user, 1000));
        for (const [index, exposureFound] of found.entries()) {
          if (exposureFound !== undefined) expect(exposureFound).toBe(newestFirst[index]![1]);
          if (index < Math.floor(maxUsers / 2)) expect(exposureFound).toBeDefined();
        }
        expect(found.filter((one) => one !== undefined).length).toBeLessThanOrEqual(maxUsers);
      }),
    );
  });

  it('forgets everything on clear', () => {
    const ledger = new ExposureLedger(10_000);
    ledger.remember(exposure('sorted'));
    ledger.find('sorted', 1000);
    ledger.remember(exposure('unsorted'));
    ledger.clear();
    expect(ledger.find('sorted', 1000)).toBeUndefined();
    expect(ledger.find('unsorted', 1000)).toBeUndefined();
  });
});
