import { RolloutGuard } from 'unleash-rollout-guard';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GuardEvent } from '../../src/model/event.js';
import type { GuardedFlag, GuardObserver } from '../../src/model/observer.js';
import type { Outcome } from '../../src/model/shapes.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;
const escaped = vi.fn();

beforeEach(async () => {
  harness = await GuardHarness.create();
  escaped.mockClear();
  process.on('unhandledRejection', escaped);
});

afterEach(async () => {
  process.off('unhandledRejection', escaped);
  await harness.close();
});

/** Keeps what it receives; a class, so that its methods need their `this`. */
class Keeper implements GuardObserver {
  readonly outcomes: Outcome[] = [];
  readonly events: GuardEvent['type'][] = [];
  readonly flags = new Set<GuardedFlag>();

  started(flag: GuardedFlag): void {
    this.flags.add(flag);
  }

  outcome(outcome: Outcome, flag: GuardedFlag): void {
    this.flags.add(flag);
    this.outcomes.push(outcome);
  }

  event(event: GuardEvent, flag: GuardedFlag): void {
    this.flags.add(flag);
    this.events.push(event.type);
  }
}

describe('observers of a guard', () => {
  it('receive every outcome once and every event, with the flag and where it is in Unleash', async () => {
    const keeper = new Keeper();
    const guard = await harness.started({ observers: [keeper] });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await guard.close();
    expect(keeper.outcomes).toHaveLength(20);
    expect(keeper.outcomes[0]).toMatchObject({
      exposure: { flagKey: 'async-upload', arm: 'treatment' },
      result: 'failure',
      fallbackUsed: true,
    });
    expect(keeper.events).toEqual(harness.events.map(({ type }) => type));
    expect(keeper.events).toEqual(expect.arrayContaining(['decided', 'closed']));
    expect([...keeper.flags]).toEqual([
      { flagKey: 'async-upload', project: 'default', environment: 'production' },
    ]);
  });

  it('may lack either method', async () => {
    const outcome = vi.fn();
    const event = vi.fn();
    const guard = await harness.started({ observers: [{ outcome }, { event }] });
    await harness.fail(guard);
    expect(outcome).toHaveBeenCalledTimes(20);
    expect(event).toHaveBeenCalled();
    expect(harness.reported('fault')).toEqual([]);
  });

  it.each<[how: string, fail: () => void]>([
    [
      'throws',
      () => {
        throw new Error('broken exporter');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken exporter'))],
  ])('one that %s is reported once, and affects neither requests nor the others', async (_, fail) => {
    const keeper = new Keeper();
    const guard = await harness.started({ observers: [{ outcome: fail, event: fail }, keeper] });
    const serve = guard.operation({ treatment: () => 'new', control: () => 'old' });
    for (let user = 0; user < 5; user++) {
      expect(await serve({ targetingKey: `user-${user}` }, undefined)).toBe('new');
    }
    await new Promise(setImmediate);
    expect(harness.reported('fault')).toMatchObject([{ what: 'observers[0]', message: 'broken exporter' }]);
    expect(keeper.outcomes).toHaveLength(5);
    expect(escaped).not.toHaveBeenCalled();
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
  });

  it('are checked when the guard is made', () => {
    const make = (observers: unknown) => () => harness.guard({ observers: observers as GuardObserver[] });
    expect(make([{ outcome: 1 }])).toThrow(/observers\[0\]: .*an observer/);
    expect(make([{}])).toThrow(/observers\[0\]/);
    expect(make({ outcome() {} })).toThrow(/observers: .*a list of observers/);
    expect(make([new Keeper()])()).toBeInstanceOf(RolloutGuard);
  });
});
