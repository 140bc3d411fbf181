import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../../src/measure/memory-outcome-store.js';
import {
  joinEvidence,
  parseOutcomeDelta,
  shiftDelta,
  storeDumpSchema,
} from '../../../src/measure/outcome-delta.js';
import type { Arm, Exposure } from '../../../src/model/shapes.js';
import { type MetricOptions, metric } from '../../../src/triggers/metrics/metric.js';
import { START } from '../outcomes.js';

const WITHIN = 60_000;
const higher = { direction: 'higher-is-better', withinMs: WITHIN } as const;
const CHECKOUT: MetricOptions = { kind: 'conversion', ...higher };
const CART: MetricOptions = { kind: 'numeric', ...higher };
const ERRORS: MetricOptions = {
  kind: 'ratio',
  per: 'page-view',
  direction: 'lower-is-better',
  withinMs: WITHIN,
};

const RULES = [metric('checkout', CHECKOUT), metric('cart-value', CART), metric('error', ERRORS)];

function setup(rules = RULES) {
  const store = new MemoryOutcomeStore({
    flagKey: 'shop',
    windowsMs: [60_000],
    evidenceFor: rules,
    now: START,
  });
  store.beginEpoch(1, START, { keepWindows: false });
  return {
    store,
    expose(user: string, arm: Arm = 'treatment', at = START, facts: Partial<Exposure> = {}) {
      store.expose({
        flagKey: 'shop',
        arm,
        variant: undefined,
        reason: 'SPLIT',
        errorCode: undefined,
        targetingKey: user,
        unit: user,
        chance: 0.5,
        epoch: 1,
        at,
        ...facts,
      });
    },
    track: (name: string, user: string | undefined, value?: unknown, at = START + 1) =>
      store.metrics.track({ name, targetingKey: user, value: value as number | undefined }, at),
    figures: (trigger = 'checkout', now = START + WITHIN) =>
      store.snapshot(now).evidence!.find((each) => each.trigger === trigger)!.metric!,
  };
}

const NONE = { trials: 0, value: undefined };

describe('metrics in the outcome store', () => {
  it('count a unit when its time is over, whether or not it did something', () => {
    const { expose, track, figures } = setup();
    expose('ann');
    expose('bob');
    expose('carl', 'control');
    track('checkout', 'ann');
    expect(figures('checkout', START + WITHIN - 1).arms).toEqual({ treatment: NONE, control: NONE });
    expect(figures()).toMatchObject({
      tracked: 1,
      unattributed: 0,
      arms: { treatment: { trials: 2, value: 0.5 }, control: { trials: 1, value: 0 } },
    });
  });

  it('count a unit once, however often it is evaluated and tracked', () => {
    const { expose, track, figures } = setup();
    for (let i = 0; i < 5; i++) {
      expose('ann', 'treatment', START + i);
      track('checkout', 'ann', undefined, START + i);
      track('cart-value', 'ann', 10 + i, START + i);
    }
    expect(figures('checkout', START + 2 * WITHIN).arms.treatment).toEqual({ trials: 1, value: 1 });
    expect(figures('cart-value', START + 2 * WITHIN).arms.treatment).toEqual({ trials: 1, value: 10 });
  });

  it('add up the events of a ratio by unit, and leave out a unit without any to divide by', () => {
    const { expose, track, figures } = setup();
    expose('ann');
    expose('bob');
    for (let i = 0; i < 4; i++) track('page-view', 'ann');
    track('error', 'ann');
    track('error', 'ann', 2);
    track('error', 'bob');
    expect(figures('error').arms.treatment).toEqual({ trials: 1, value: 0.75 });
  });

  it('do not count what comes before the evaluation, too late, or of someone unknown', () => {
    const { expose, track, figures } = setup();
    expect(track('checkout', 'ann', undefined, START - 1)).toEqual([
      { trigger: 'checkout', result: 'unattributed' },
    ]);
    expose('ann');
    track('checkout', 'ann', undefined, START + WITHIN + 1);
    track('checkout', 'zoe');
    track('checkout', undefined);
    expect(track('other', 'ann')).toEqual([]);
    expect(figures()).toMatchObject({
      tracked: 4,
      unattributed: 4,
      arms: { treatment: { trials: 1, value: 0 } },
    });
  });

  it.each([undefined, Number.NaN, Number.POSITIVE_INFINITY, -1, '12', null, {}, 1e101, Number.MAX_VALUE])(
    'leave the value %s out, and keep a later one',
    (value) => {
      const { expose, track, figures } = setup();
      expose('ann');
      expect(track('cart-value', 'ann', value)).toEqual([{ trigger: 'cart-value', result: 'invalid' }]);
      track('cart-value', 'ann', 12);
      expect(figures('cart-value')).toMatchObject({
        tracked: 2,
        invalid: 1,
        arms: { treatment: { value: 12 } },
      });
    },
  );

  it('keep their figures finite, and survive a restart, with values as large as can be', () => {
    const first = setup();
    for (const user of ['ann', 'bob', 'carl']) {
      first.expose(user);
      first.track('cart-value', user, 1e100);
      first.track('page-view', user, 1e-300);
      for (let i = 0; i < 10; i++) first.track('error', user, 1e100);
    }
    first.expose('dan');
    first.track('page-view', 'dan', 4);
    first.track('error', 'dan', 2);
    expect(first.figures('cart-value').arms.treatment).toEqual({ trials: 3, value: 1e100 });
    expect(first.figures('error').arms.treatment).toEqual({ trials: 1, value: 0.5 });
    const second = setup();
    const dump = storeDumpSchema.parse(JSON.parse(JSON.stringify(first.store.dump(START + WITHIN))));
    expect(second.store.restore(dump, START + WITHIN)).toBe(true);
    expect(second.figures('cart-value').arms.treatment).toEqual({ trials: 3, value: 1e100 });
  });

  it('are fed by one event each on its own terms', () => {
    const { expose, track, figures } = setup([
      metric('cart-value', CART),
      metric('cart-value', { ...CHECKOUT, name: 'has-cart' }),
    ]);
    expose('ann');
    expose('bob');
    expect(track('cart-value', 'ann', Number.NaN)).toEqual([{ trigger: 'cart-value', result: 'invalid' }]);
    expect(figures('cart-value').arms.treatment).toEqual(NONE);
    expect(figures('has-cart').arms.treatment).toEqual({ trials: 2, value: 0.5 });
  });

  it('are tallied once, when the time of a unit is over, whatever the epoch', () => {
    const { store, expose, track, figures } = setup();
    expose('ann');
    expose('bob', 'control');
    track('checkout', 'ann');
    track('cart-value', 'ann', 30);
    expect(store.takeTally(START + 1)).toBeUndefined();
    figures();
    store.beginEpoch(2, START + WITHIN, { keepWindows: false });
    expect(store.takeTally(START + WITHIN)?.metrics).toEqual([
      {
        trigger: 'checkout',
        kind: 'conversion',
        treatment: { trials: 1, sum: 1 },
        control: { trials: 1, sum: 0 },
      },
      {
        trigger: 'cart-value',
        kind: 'numeric',
        treatment: { trials: 1, sum: 30 },
        control: { trials: 0, sum: 0 },
      },
    ]);
    expect(store.takeTally(START + 2 * WITHIN)).toBeUndefined();
  });

  it('accept negative values where the minimum allows them', () => {
    const { expose, track, figures } = setup([metric('balance', { ...CART, min: -100 })]);
    expose('ann');
    expect(track('balance', 'ann', -101)).toHaveLength(1);
    track('balance', 'ann', -100);
    expect(figures('balance').arms.treatment).toEqual({ trials: 1, value: -100 });
  });

  it('leave out units that were not drawn, and those that have seen both arms', () => {
    const { expose, track, figures } = setup();
    expose('ann', 'treatment', START, { chance: undefined });
    expose('bob', 'treatment', START, { unit: undefined });
    expose('carl');
    expose('carl', 'control', START + 1);
    for (const user of ['ann', 'bob', 'carl']) track('checkout', user, undefined, START + 2);
    expect(figures()).toMatchObject({
      tracked: 3,
      unattributed: 3,
      arms: { treatment: NONE, control: NONE },
    });
  });

  it('find the unit of a user that is drawn by something else, such as a tenant', () => {
    const { expose, track, figures } = setup();
    expose('ann', 'treatment', START, { unit: 'acme' });
    expose('bob', 'treatment', START + 1, { unit: 'acme' });
    expose('carl', 'control', START + 1, { unit: 'tyrell' });
    track('checkout', 'bob', undefined, START + 2);
    expect(figures('checkout', START + 2 * WITHIN).arms).toEqual({
      treatment: { trials: 1, value: 1 },
      control: { trials: 1, value: 0 },
    });
  });

  it('find users by their keys at 100 %, where no unit is drawn', () => {
    const { expose, track, figures } = setup();
    for (const user of ['ann', 'bob']) {
      expose(user, 'treatment', START, { reason: 'STATIC', chance: undefined, unit: undefined });
    }
    track('checkout', 'bob');
    expect(figures()).toMatchObject({ unattributed: 0, arms: { treatment: { trials: 2, value: 0.5 } } });
  });

  it('drop what is open when the percentage changes, of both arms, and keep what is over', () => {
    const { store, expose, track, figures } = setup();
    expose('ann');
    track('checkout', 'ann');
    expect(figures().arms.treatment.trials).toBe(1);
    expose('bob', 'treatment', START + WITHIN);
    expose('carl', 'control', START + WITHIN);
    store.beginEpoch(2, START + WITHIN + 1, { keepWindows: true });
    track('checkout', 'bob', undefined, START + WITHIN + 2);
    expect(figures('checkout', START + 3 * WITHIN).arms).toMatchObject({
      treatment: { trials: 1, value: 1 },
      control: NONE,
    });
    store.beginEpoch(3, START + 3 * WITHIN, { keepWindows: false });
    expect(figures('checkout', START + 3 * WITHIN)).toMatchObject({ tracked: 0, arms: { treatment: NONE } });
  });

  it('do not wait for ever when the clock was set back', () => {
    const { expose, figures } = setup();
    expose('ann', 'treatment', START + 3_600_000);
    expose('bob');
    expect(figures().arms.treatment.trials).toBe(1);
  });

  it('stay bounded in a flood of users, with a sample that is fair to both arms', () => {
    const { store, expose, track, figures } = setup([RULES[0]!]);
    const users = 150_000;
    for (let i = 0; i < users; i++) expose(`user-${i}`, i % 2 === 0 ? 'treatment' : 'control');
    for (let i = 0; i < users; i += 5) track('checkout', `user-${i}`);
    expect(JSON.stringify(store.dump(START + 2)).length).toBeLessThan(1_000_000);
    const { arms, unattributed } = figures();
    expect(unattributed).toBe(0);
    const { treatment, control } = arms;
    expect(treatment.trials + control.trials).toBeGreaterThan(30_000);
    expect(treatment.trials + control.trials).toBeLessThanOrEqual(65_536);
    expect(treatment.trials / (treatment.trials + control.trials)).toBeCloseTo(0.5, 1);
    expect(treatment.value).toBeCloseTo(0.2, 1);
    const delta = store.takeDelta(START + WITHIN)!;
    expect(delta.evidence!.metrics[0]!.trials.length).toBeLessThanOrEqual(256);
  });

  it('go on after a restart with what is open and what is over', () => {
    const first = setup();
    first.expose('ann');
    first.track('cart-value', 'ann', 7);
    first.track('checkout', 'ann');
    first.figures();
    first.expose('bob', 'control', START + WITHIN, { unit: 'acme' });
    first.expose('eve', 'control', START + WITHIN);
    first.track('cart-value', 'eve', 3, START + WITHIN + 1);
    const text = JSON.stringify(first.store.dump(START + WITHIN + 2));
    const second = setup();
    expect(second.store.restore(storeDumpSchema.parse(JSON.parse(text)), START + WITHIN + 3)).toBe(true);
    second.track('checkout', 'bob', undefined, START + WITHIN + 4);
    second.track('cart-value', 'eve', 4, START + WITHIN + 4);
    expect(second.figures('checkout', START + 2 * WITHIN)).toMatchObject({
      tracked: 2,
      arms: { treatment: { trials: 1, value: 1 }, control: { trials: 2, value: 0.5 } },
    });
    expect(second.figures('cart-value', START + 2 * WITHIN).arms).toEqual({
      treatment: { trials: 1, value: 7 },
      control: { trials: 1, value: 3 },
    });
    expect(second.store.takeDelta(START + 2 * WITHIN)!.evidence!.metrics[0]!.trials).toHaveLength(2);
  });
});

describe('metrics of a fleet', () => {
  it('add up to those of one process, in the order of exposures, when all have sent them', () => {
    const [whole, leader, ...processes] = [setup(), setup(), setup(), setup()];
    for (let i = 0; i < 400; i++) {
      const at = START + i * 10;
      const [user, arm] = [`user-${i}`, i % 3 === 0 ? 'treatment' : 'control'] as const;
      for (const each of [whole, processes[i % 2]!]) {
        each.expose(user, arm, at);
        each.track('cart-value', user, i % 7, at + 1);
        if (i % 4 === 0) each.track('checkout', user, undefined, at + 2);
      }
    }
    processes[0]!.track('checkout', 'unknown');
    whole.track('checkout', 'unknown');
    const now = START + 2 * WITHIN;
    for (const { store } of processes) {
      // As Redis carries it, in two parts.
      for (const at of [START + WITHIN + 2_000, now]) {
        const delta = parseOutcomeDelta(JSON.parse(JSON.stringify(store.takeDelta(at))));
        expect(leader.store.merge(delta!, at)).toBe(true);
      }
    }
    expect(leader.figures('cart-value', now).arms.treatment).toEqual(NONE);
    expect(leader.store.takeTally(now)?.metrics ?? []).toEqual([]);
    expect(leader.store.settleUpTo(now)).toBe(true);
    expect(leader.store.settleUpTo(now)).toBe(false);
    const evidenceOf = ({ store }: ReturnType<typeof setup>) => store.snapshot(now).evidence;
    expect(evidenceOf(leader)).toEqual(evidenceOf(whole));
    expect(leader.store.takeTally(now)?.metrics).toEqual(whole.store.takeTally(now)?.metrics);
  });

  it('wait until everything that was exposed before has arrived, also over a change of the leader', () => {
    const [leader, member] = [setup(), setup()];
    member.expose('ann');
    member.expose('bob', 'treatment', START + 5_000);
    const now = START + 2 * WITHIN;
    leader.store.merge(member.store.takeDelta(now)!, now);
    leader.store.settleUpTo(START + WITHIN);
    expect(leader.figures('checkout', now).arms.treatment.trials).toBe(1);
    const next = setup();
    next.store.restore(storeDumpSchema.parse(JSON.parse(JSON.stringify(leader.store.dump(now)))), now);
    next.store.settleUpTo(now);
    expect(next.figures('checkout', now).arms.treatment.trials).toBe(2);
  });

  it('are moved with the clock of the server, and joined', () => {
    const { store, expose, track } = setup([RULES[0]!]);
    expose('ann');
    track('checkout', 'ann');
    const delta = store.takeDelta(START + WITHIN)!;
    expect(delta.evidence!.metrics[0]).toMatchObject({ trials: [[expect.any(Number), START, 0.5, 1, 1]] });
    const moved = shiftDelta(delta, 3_000);
    expect(moved.evidence!.metrics[0]!.trials[0]![1]).toBe(START + 3_000);
    const joined = joinEvidence([delta.evidence!, moved.evidence!]);
    expect(joined.metrics).toMatchObject([{ trigger: 'checkout', notes: { tracked: 2 } }]);
    expect(joined.metrics[0]!.trials).toHaveLength(2);
  });

  it('make a delta when nothing else happens, and say when it is due', () => {
    const { store, expose } = setup([RULES[0]!]);
    expect(store.metrics.metricDueAt).toBeUndefined();
    expose('ann');
    store.takeDelta(START + 1);
    expect(store.metrics.metricDueAt).toBe(START + WITHIN);
    const { activity } = store;
    expect(store.takeDelta(START + WITHIN)!.evidence!.metrics[0]!.trials).toHaveLength(1);
    expect(store.activity).toBeGreaterThan(activity);
    expect(store.metrics.metricDueAt).toBeUndefined();
  });
});
