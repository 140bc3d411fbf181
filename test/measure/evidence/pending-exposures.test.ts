import { describe, expect, it } from 'vitest';
import { PendingExposures } from '../../../src/measure/evidence/pending-exposures.js';
import type { Arm, Outcome } from '../../../src/model/shapes.js';
import type { SettledOutcome } from '../../../src/statistics/rollout-evidence.js';
import { outcomeOf, START } from '../outcomes.js';

const LIMITS = { operationMs: 30_000, reportMs: 60_000 };

/** A ring, the time, and what has settled. */
function setup({ limits = LIMITS, isOperation = true } = {}) {
  const pending = new PendingExposures(limits);
  const settled: SettledOutcome[] = [];
  const clock = { now: START };
  let unit = 0;
  return {
    pending,
    settled,
    clock,
    /** @param named - Whether it gets a unit of its own, by number. */
    open(arm: Arm = 'control', named = true): Outcome {
      const outcome = outcomeOf({ arm, at: clock.now });
      const exposure = { ...outcome.exposure, isOperation };
      if (named) unit += 1;
      pending.open(exposure, named ? unit : 0, 0.5);
      return { ...outcome, exposure };
    },
    end(outcome: Outcome, facts: Partial<Outcome> = {}) {
      pending.end({ ...outcome, ...facts }, 0, 0.5, clock.now);
    },
    /** Units and results that settled by then. */
    at(now: number) {
      clock.now = now;
      settled.length = 0;
      pending.settle(now, (each) => settled.push({ ...each }));
      return settled.map(({ unit, result }) => `${unit} ${result}`);
    },
  };
}

/** So many calls of both arms that take so long: what the settling time is made of. */
function warmUp({ open, end, at, clock }: ReturnType<typeof setup>, durationMs: number, count = 20) {
  const calls = Array.from({ length: count }, () => [open(), open('treatment', false)]).flat();
  clock.now += durationMs;
  for (const call of calls) end(call);
  at(clock.now);
}

describe('PendingExposures', () => {
  it('hands outcomes out in the order of their exposures, not of their ends', () => {
    const sides = setup();
    warmUp(sides, 100);
    const [first, second, third] = [sides.open('treatment'), sides.open(), sides.open()];
    sides.end(third);
    sides.end(second, { result: 'failure', durationMs: 7, fallbackUsed: true });
    expect(sides.at(sides.clock.now + 10)).toEqual([]);
    expect(sides.pending.openSince).toBe(first.exposure.at);
    sides.end(first, { attempts: 2 });
    expect(sides.at(sides.clock.now)).toEqual(['21 success', '22 failure', '23 success']);
    expect(sides.settled[0]).toMatchObject({
      treated: true,
      retried: true,
      fallback: false,
      chance: 0.5,
      weight: 1,
    });
    expect(sides.settled[1]).toMatchObject({ treated: false, fallback: true, durationMs: 7 });
    expect(sides.pending.openSince).toBeUndefined();
  });

  it.each([
    [100, 5_000],
    [4_000, 12_000],
    [15_000, 30_000],
  ])('takes a call for hanging, where both arms take %d ms, after %d ms', (durationMs, settleMs) => {
    const sides = setup();
    warmUp(sides, durationMs);
    sides.open('treatment');
    const { now } = sides.clock;
    expect(sides.at(now + settleMs * 0.98)).toEqual([]);
    expect(sides.at(now + settleMs * 1.02)).toEqual(['21 open']);
  });

  it('waits for the time limit while the control has too few durations', () => {
    const sides = setup();
    warmUp(sides, 100, 19);
    sides.open('treatment');
    const { now } = sides.clock;
    expect(sides.at(now + 29_999)).toEqual([]);
    expect(sides.at(now + 30_000)).toEqual(['20 open']);
  });

  it('keeps a settling time for a minute', () => {
    const sides = setup();
    warmUp(sides, 100);
    // The control becomes slow: three times its p99 would be 24 s.
    warmUp(sides, 4_900, 200);
    sides.open('treatment');
    const { now } = sides.clock;
    expect(sides.at(now + 5_000)).toEqual(['221 open']);
    sides.at(now + 60_000);
    sides.open('treatment');
    expect(sides.at(now + 60_000 + 12_000)).toEqual([]);
    expect(sides.at(now + 60_000 + 15_000)).toEqual(['222 open']);
  });

  it('says once and for all that a call hangs: what it does later changes nothing', () => {
    const sides = setup();
    warmUp(sides, 100);
    const hanging = sides.open('treatment');
    expect(sides.at(sides.clock.now + 5_000)).toEqual(['21 open']);
    sides.end(hanging);
    sides.pending.withdraw(hanging.exposure);
    expect(sides.at(sides.clock.now + 60_000)).toEqual([]);
  });

  it('counts the first of two results', () => {
    const sides = setup();
    const call = sides.open('treatment');
    sides.end(call, { result: 'failure' });
    sides.end(call);
    sides.pending.withdraw(call.exposure);
    expect(sides.at(sides.clock.now)).toEqual(['1 failure']);
  });

  it('hands out nothing that was withdrawn, and waits for it no longer', () => {
    const sides = setup();
    const [withdrawn, next] = [sides.open('treatment'), sides.open()];
    sides.end(next);
    expect(sides.at(sides.clock.now)).toEqual([]);
    sides.pending.withdraw(withdrawn.exposure);
    expect(sides.at(sides.clock.now)).toEqual(['2 success']);
  });

  it('ends at once what was never opened', () => {
    const sides = setup();
    sides.pending.end(outcomeOf({ result: 'aborted' }), 77, 0.1, START);
    expect(sides.at(START)).toEqual(['77 aborted']);
  });

  it('grows, and keeps the order of what is open', () => {
    const sides = setup();
    const calls = Array.from({ length: 5_000 }, () => sides.open());
    for (const call of [...calls].reverse()) sides.end(call);
    const units = sides.at(sides.clock.now).map((each) => Number.parseInt(each, 10));
    expect(units).toEqual(calls.map((_, i) => i + 1));
  });

  it('settles the oldest early where there is no room, whichever its arm is', () => {
    const sides = setup();
    for (let i = 0; i < 262_144; i++) sides.open(i % 2 === 0 ? 'treatment' : 'control');
    expect(sides.pending.isFull).toBe(true);
    expect(sides.at(START)).toEqual(['1 open']);
    expect(sides.pending.isFull).toBe(false);
    sides.open();
    expect(sides.at(START)).toEqual(['2 open']);
  });

  it('blames nobody for a clock that was set back, and waits for nothing because of it', () => {
    const sides = setup();
    warmUp(sides, 100);
    sides.open('treatment');
    const before = sides.open();
    sides.clock.now -= 3_600_000;
    const after = sides.open();
    sides.end(after);
    expect(sides.at(sides.clock.now)).toEqual(['23 success']);
    sides.end(before);
    expect(sides.at(sides.clock.now)).toEqual([]);
    // A little earlier is no reason to drop anything.
    sides.open();
    expect(sides.at(sides.clock.now - 4_000)).toEqual([]);
    expect(sides.pending.openSince).toBeDefined();
  });

  it('gives what is open its time anew after the process did not run', () => {
    const sides = setup();
    warmUp(sides, 100);
    const call = sides.open('treatment');
    const { now } = sides.clock;
    sides.pending.lost(100_000);
    expect(sides.at(now + 104_000)).toEqual([]);
    sides.end(call);
    expect(sides.at(now + 104_000)).toEqual(['21 success']);
    sides.open('treatment');
    expect(sides.at(now + 109_100)).toEqual(['22 open']);
  });

  it('forgets what is open when a new rollout begins', () => {
    const sides = setup();
    const call = sides.open();
    sides.pending.clear();
    sides.end(call);
    expect(sides.at(sides.clock.now + 100_000)).toEqual([]);
    expect(sides.pending.openSince).toBeUndefined();
  });

  describe('of exposures that the application reports', () => {
    /** Control exposures of which so many in ten are reported. */
    function reporting(reported: number) {
      const sides = setup({ isOperation: false });
      for (let i = 0; i < 200; i++) {
        const exposure = sides.open();
        if (i % 10 < reported) sides.end(exposure);
        if (i < 20) sides.end(sides.open('treatment', false));
        if (i % 10 === 9) sides.at(sides.clock.now + 70_000);
      }
      return sides;
    }

    it('takes silence for a failure where the control’s are reported', () => {
      const sides = reporting(9);
      sides.open('treatment');
      const { now } = sides.clock;
      expect(sides.at(now + 4_900)).toEqual([]);
      expect(sides.at(now + 5_100)).toEqual(['201 open']);
    });

    it('takes it for no report where flags are mostly evaluated without one', () => {
      const sides = reporting(4);
      sides.open('treatment');
      sides.open('control');
      expect(sides.at(sides.clock.now + 70_000)).toEqual(['201 unreported', '202 unreported']);
    });

    it('waits for the time limit while it is not known how long the treatment takes', () => {
      const sides = setup();
      const calls = Array.from({ length: 20 }, () => sides.open());
      for (const call of calls) sides.end(call);
      sides.open('treatment');
      sides.at(START);
      expect(sides.at(START + 29_999)).toEqual([]);
      expect(sides.at(START + 30_000)).toEqual(['21 open']);
    });

    it('has nothing to go by at first', () => {
      const sides = setup({ isOperation: false });
      sides.open('treatment');
      expect(sides.at(START + 59_999)).toEqual([]);
      expect(sides.at(START + 60_000)).toEqual(['1 unreported']);
    });
  });
});
