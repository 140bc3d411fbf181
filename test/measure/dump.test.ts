import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import {
  type OutcomeDelta,
  parseOutcomeDelta,
  type StoreDump,
  storeDumpSchema,
} from '../../src/measure/outcome-delta.js';
import type { Outcome } from '../../src/model/shapes.js';
import type { Evidence } from '../../src/model/snapshot.js';
import type { TestSpec } from '../../src/statistics/rollout-evidence.js';
import { outcomeOf, START } from './outcomes.js';

const MINUTE = 60_000;
const EPOCH = 3;
const SPECS: readonly TestSpec[] = [
  {
    name: 'regression',
    evidence: { test: 'event', event: 'failure', alpha: 0.02, ratio: 1, minDifference: 0.02 },
  },
  { name: 'limit', evidence: { test: 'limit', alpha: 0.01, maxFailureRate: 0.05 } },
  { name: 'slower', evidence: { test: 'latency', alpha: 0.02, ratio: 1.2 } },
  { name: 'ratio', evidence: { test: 'sample-ratio', alpha: 0.001 } },
];

interface Setup {
  readonly evidenceFor?: readonly TestSpec[];
  readonly epoch?: number;
  readonly windowsMs?: readonly number[];
}

function storeOf({ evidenceFor = SPECS, epoch = EPOCH, windowsMs = [MINUTE, 5 * MINUTE] }: Setup = {}) {
  const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs, now: START, evidenceFor });
  store.beginEpoch(epoch, START, { keepWindows: true });
  return store;
}

/** A store whose evidence has a control of the epoch before. */
function laterStore(): MemoryOutcomeStore {
  const store = storeOf({ epoch: EPOCH - 1 });
  for (let i = 0; i < 500; i++) {
    const result = i % 50 === 0 ? 'failure' : 'success';
    store.record(outcomeOf({ arm: 'control', epoch: EPOCH - 1, result, targetingKey: `before-${i}` }));
  }
  store.beginEpoch(EPOCH, START, { keepWindows: true });
  return store;
}

/** A dump as the next run reads it. */
function read(dump: StoreDump): StoreDump {
  return storeDumpSchema.parse(JSON.parse(JSON.stringify(dump)));
}

/** The same store after a restart. */
function restarted(store: MemoryOutcomeStore, now: number): MemoryOutcomeStore {
  const next = storeOf();
  expect(next.restore(read(store.dump(now)), now)).toBe(true);
  return next;
}

function evidenceOf(store: MemoryOutcomeStore, trigger: string, now = START): Evidence {
  return store.snapshot(now).evidence!.find((each) => each.trigger === trigger)!;
}

/** 400 outcomes, of which those of the treatment fail. */
function failing(from = 0, to = 400): Outcome[] {
  return Array.from({ length: to - from }, (_, i) => from + i).map((i) =>
    outcomeOf({
      epoch: EPOCH,
      arm: i % 10 === 0 ? 'treatment' : 'control',
      result: i % 10 === 0 ? 'failure' : 'success',
      chance: 0.1,
      targetingKey: `user-${i}`,
    }),
  );
}

/** Equal but for details, whose order in a dump is that of their times. */
function expectSame(actual: MemoryOutcomeStore, expected: MemoryOutcomeStore, now: number): void {
  const { details: _, ...rest } = actual.snapshot(now);
  const { details: __, ...whole } = expected.snapshot(now);
  expect(rest).toEqual(whole);
}

const event = fc.record({
  afterMs: fc.oneof({ weight: 5, arbitrary: fc.nat(2_000) }, fc.nat(90_000)),
  /** What comes: here, from elsewhere, or nothing but a snapshot. */
  by: fc.constantFrom(
    'here' as const,
    'here' as const,
    'here' as const,
    'elsewhere' as const,
    'snapshot' as const,
  ),
  isCut: fc.nat(8).map((n) => n === 0),
  outcomes: fc.array(
    fc.record({
      arm: fc.constantFrom('treatment' as const, 'control' as const),
      result: fc.constantFrom(
        'success' as const,
        'success' as const,
        'failure' as const,
        'expected' as const,
      ),
      durationMs: fc.oneof(
        fc.double({ min: 0, max: 900, noNaN: true }),
        fc.constantFrom(Number.NaN, undefined),
      ),
      reason: fc.constantFrom('SPLIT', 'SPLIT', 'SPLIT', 'STATIC', 'TARGETING_MATCH'),
      targetingKey: fc.oneof(
        fc.nat(400).map((n) => `user-${n}`),
        fc.constant(''),
      ),
      critical: fc.boolean(),
      errorType: fc.constantFrom('ECONNRESET', '__proto__', undefined),
    }),
    { maxLength: 30 },
  ),
});

describe('MemoryOutcomeStore.dump and restore', () => {
  it('resume exactly as without a restart, wherever that falls', () => {
    let breaches = 0;
    const run = fc.property(fc.array(event, { maxLength: 25 }), (events) => {
      const elsewhere = storeOf();
      const whole = laterStore();
      let cut = laterStore();
      let at = START;
      for (const { afterMs, by, isCut, outcomes } of events) {
        at += afterMs;
        if (isCut) cut = restarted(cut, at);
        for (const facts of outcomes) {
          const outcome = outcomeOf({ ...facts, epoch: EPOCH, at });
          for (const store of by === 'here' ? [whole, cut] : [elsewhere]) {
            store.record({ ...outcome, exposure: { ...outcome.exposure } });
          }
        }
        const delta = by === 'elsewhere' ? elsewhere.takeDelta(at) : undefined;
        for (const store of [whole, cut]) {
          if (delta !== undefined) store.merge(delta, at);
          store.settleUpTo(at);
        }
        if (by === 'snapshot') expectSame(cut, whole, at);
      }
      expectSame(restarted(cut, at), whole, at);
      if (whole.snapshot(at).evidence!.some(({ breached }) => breached)) breaches++;
    });
    fc.assert(run, { numRuns: 80, seed: 6 });
    // Otherwise nothing but the beginning of a test was ever restored.
    expect(breaches).toBeGreaterThan(3);
  });

  it('keep a breach over restarts, and find one whose evidence came before and after', () => {
    let [short, long] = [storeOf(), storeOf()];
    for (const outcome of failing(0, 20)) short.record(outcome);
    for (const outcome of failing()) long.record(outcome);
    [short, long] = [restarted(short, START), restarted(long, START)];
    expect(evidenceOf(short, 'regression').breached).toBe(false);
    expect(evidenceOf(long, 'regression').breached).toBe(true);
    const alone = storeOf();
    for (const outcome of failing(20, 40)) alone.record(outcome);
    for (const outcome of failing(20, 40)) short.record(outcome);
    expect(evidenceOf(alone, 'regression').breached).toBe(false);
    expect(evidenceOf(short, 'regression').breached).toBe(true);
  });

  it('keep the frozen control, though the next run has seen none', () => {
    const next = restarted(laterStore(), START);
    for (let i = 0; i < 40; i++) {
      next.record(outcomeOf({ epoch: EPOCH, reason: 'STATIC', result: 'failure', targetingKey: `u-${i}` }));
    }
    expect(evidenceOf(next, 'regression')).toMatchObject({
      breached: true,
      counts: { control: { trials: 500, failures: 10 } },
    });
    next.beginEpoch(EPOCH + 1, START, { keepWindows: true });
    next.record(outcomeOf({ epoch: EPOCH + 1, reason: 'STATIC' }));
    expect(evidenceOf(next, 'regression').counts.control.trials).toBe(500);
  });

  it('return nothing in two deltas', () => {
    const store = storeOf();
    for (const outcome of failing()) store.record(outcome);
    const next = restarted(store, START);
    expect(next.takeDelta(START)).toBeUndefined();
    for (const outcome of failing(400, 430)) next.record(outcome);
    const delta = next.takeDelta(START)!;
    expect(delta.evidence!.settled).toHaveLength(30);
    expect(delta.evidence!.limits.units).toEqual({ trials: 3, failures: 3 });
    expect(delta.recent.outcomes).toHaveLength(3);
    expect(delta.details.failures).toHaveLength(3);
  });

  it.each<[string, TestSpec['evidence']]>([
    ['another alpha', { test: 'event', event: 'failure', alpha: 0.03, ratio: 1, minDifference: 0.02 }],
    ['another ratio', { test: 'event', event: 'failure', alpha: 0.02, ratio: 1.5, minDifference: 0.02 }],
    ['another event', { test: 'event', event: 'aborted', alpha: 0.02, ratio: 1, minDifference: 0.02 }],
    ['another test', { test: 'latency', alpha: 0.02, ratio: 1 }],
  ])('start all tests from zero when one has %s, and keep the counts', (_, evidence) => {
    const store = storeOf();
    for (const outcome of failing()) store.record(outcome);
    const next = storeOf({ evidenceFor: [{ name: 'regression', evidence }, SPECS[1]!] });
    expect(next.restore(read(store.dump(START)), START)).toBe(true);
    expect(evidenceOf(next, 'regression')).toMatchObject({ breached: false, logE: 0, peakLogE: 0 });
    expect(evidenceOf(next, 'limit')).toMatchObject({ breached: false, logE: 0 });
    expect(next.snapshot(START).total.treatment.failures).toBe(40);
  });

  it('restore counts where a store has no tests, or the dump has none', () => {
    const store = storeOf();
    for (const outcome of failing()) store.record(outcome);
    const dump = read(store.dump(START));
    const [silent, next] = [storeOf({ evidenceFor: [] }), storeOf()];
    expect(silent.restore(dump, START)).toBe(true);
    expect(silent.snapshot(START)).toMatchObject({
      evidence: [],
      total: { treatment: { failures: 40 } },
    });
    const { evidence: _, ...without } = dump;
    expect(next.restore(read(without), START)).toBe(true);
    expect(evidenceOf(next, 'regression')).toMatchObject({ breached: false, logE: 0 });
  });

  it('survive invalid evidence: the counts are restored, the tests start from zero', () => {
    const store = storeOf();
    for (const outcome of failing()) store.record(outcome);
    const json = JSON.stringify(store.dump(START));
    const numbers = [...json.matchAll(/(?<=[:,[])-?\d+(\.\d+)?(e[-+]\d+)?(?=[,\]}])/g)].filter(
      ({ index }) => index > json.indexOf('"evidence"'),
    );
    const lie = fc.constantFrom('-1', 'null', '1e300', '0.5', '"x"', '[]', '{}', '1e999');
    const run = fc.property(fc.nat(numbers.length - 1), lie, (which, instead) => {
      const { index, 0: number } = numbers[which]!;
      const broken = JSON.parse(json.slice(0, index) + instead + json.slice(index + number.length));
      const dump = storeDumpSchema.safeParse(broken).data;
      expect(dump).toBeDefined();
      const next = storeOf();
      expect(next.restore(dump!, START)).toBe(true);
      for (const outcome of failing(400, 450)) next.record(outcome);
      const snapshot = next.snapshot(START + 2 * MINUTE);
      expect(snapshot.total.treatment.failures).toBe(45);
      expect(snapshot.evidence).toHaveLength(4);
    });
    fc.assert(run, { numRuns: 300 });
    expect(
      storeDumpSchema.safeParse({ ...JSON.parse(json), evidence: 'none' }).data?.evidence,
    ).toBeUndefined();
    expect(storeDumpSchema.safeParse({ ...JSON.parse(json), contents: 'none' }).data).toBeUndefined();
  });

  it('stay small, whatever came, but for the hashes of units', () => {
    const store = storeOf({ windowsMs: [MINUTE, 5 * MINUTE, 30 * MINUTE] });
    let at = START;
    const deltas: OutcomeDelta[] = [];
    for (let i = 0; i < 100_000; i++) {
      at += 20;
      const outcome = outcomeOf({
        epoch: EPOCH,
        at,
        arm: i % 2 === 0 ? 'treatment' : 'control',
        result: i % 90 < 2 ? 'failure' : 'success',
        errorType: `E${i % 70}`,
        durationMs: 50 + ((i * 7_919) % 4_000),
        targetingKey: `user-${i}`,
      });
      store.expose(outcome.exposure);
      store.record(outcome);
      if (i % 1_000 === 0) deltas.push(parseOutcomeDelta(store.takeDelta(at))!);
    }
    const { evidence, contents, ...rest } = store.dump(at);
    expect(JSON.stringify({ contents, rest }).length).toBeLessThan(120_000);
    // Base64 of 4 bytes for each unit that is known, in 3 quantiles, failures, limits and the sample ratio; the rest is bounded.
    const withoutHashes = JSON.stringify(evidence).replaceAll(/"[A-Za-z0-9+/=]{300,}"/g, '""');
    expect(withoutHashes.length).toBeLessThan(40_000);
    expect(deltas).toHaveLength(100);
    for (const delta of deltas) expect(JSON.stringify(delta).length).toBeLessThan(40_000);
  });
});
