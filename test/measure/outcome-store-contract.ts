import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import { type OutcomeDelta, parseOutcomeDelta } from '../../src/measure/outcome-delta.js';
import type { ArmCounts, Outcome } from '../../src/model/shapes.js';
import type { Evidence, Snapshot } from '../../src/model/snapshot.js';
import type { TestSpec } from '../../src/statistics/rollout-evidence.js';
import { armCounts } from '../triggers/snapshots.js';
import { outcomeOf, START } from './outcomes.js';

export interface OutcomeStoreSetup {
  readonly flagKey: string;
  readonly windowsMs: readonly number[];
  /** When the first epoch starts. */
  readonly now: number;
  readonly evidenceFor?: readonly TestSpec[];
  readonly outcomeTimeoutMs?: number;
}

/** Makes an empty store. */
export type OutcomeStoreFactory = (
  setup: OutcomeStoreSetup,
) => MemoryOutcomeStore | Promise<MemoryOutcomeStore>;

const MINUTE = 60_000;
/** The third one has buckets of 1,666.67 ms. */
const WINDOWS_MS = [MINUTE, 5 * MINUTE, 100_000];
const EVIDENCE_FOR: readonly TestSpec[] = [
  {
    name: 'regression',
    evidence: { test: 'event', event: 'failure', alpha: 0.05, ratio: 1, minDifference: 0.02 },
  },
  { name: 'limit', evidence: { test: 'limit', alpha: 0.05, maxFailureRate: 0.05 } },
  { name: 'slower', evidence: { test: 'latency', alpha: 0.05, ratio: 1.2 } },
  { name: 'aborts', evidence: { test: 'event', event: 'aborted', alpha: 0.01, ratio: 1, minDifference: 0 } },
  {
    name: 'complaints',
    evidence: { test: 'event', event: 'complaint', alpha: 0.01, ratio: 1, minDifference: 0 },
  },
  { name: 'ratio', evidence: { test: 'sample-ratio', alpha: 0.001 } },
  { name: 'literal' },
];
const NO_COUNTS = armCounts();
const NO_EXPOSURES = {
  treatment: { due: 0, unreported: 0 },
  control: { due: 0, unreported: 0 },
};

/** What every way to a `MemoryOutcomeStore` promises. */
export function describeOutcomeStore(name: string, factory: OutcomeStoreFactory, numRuns = 60): void {
  async function emptyStore(windowsMs: readonly number[] = WINDOWS_MS): Promise<MemoryOutcomeStore> {
    const store = await factory({ flagKey: 'async-upload', windowsMs, now: START });
    store.beginEpoch(1, START, { keepWindows: false });
    return store;
  }

  async function evaluatingStore(): Promise<MemoryOutcomeStore> {
    const setup = { flagKey: 'async-upload', windowsMs: WINDOWS_MS, now: START, evidenceFor: EVIDENCE_FOR };
    const store = await factory(setup);
    store.beginEpoch(1, START, { keepWindows: false });
    return store;
  }

  const evidenceOf = (store: MemoryOutcomeStore, trigger: string, now = START): Evidence =>
    store.snapshot(now).evidence!.find((each) => each.trigger === trigger)!;

  async function storeOf(outcomes: readonly Outcome[]): Promise<MemoryOutcomeStore> {
    const store = await emptyStore();
    for (const outcome of outcomes) store.record(outcome);
    return store;
  }

  describe(`${name} as an OutcomeStore`, () => {
    it('begins with nothing', async () => {
      const snapshot = (await emptyStore()).snapshot(START);
      const nothing = { ...NO_COUNTS, latency: undefined, errorTypes: [], lastOutcomeAt: undefined };
      expect(snapshot).toEqual({
        flagKey: 'async-upload',
        at: START,
        epoch: 1,
        epochStartedAt: START,
        windows: [MINUTE, 100_000, 5 * MINUTE].map((windowMs) => ({
          windowMs,
          treatment: NO_COUNTS,
          control: NO_COUNTS,
          exposures: NO_EXPOSURES,
          settled: {
            treatment: { trials: 0, failures: 0 },
            control: { trials: 0, failures: 0 },
            randomised: 0,
          },
          units: 0,
          memory: undefined,
        })),
        total: { treatment: nothing, control: nothing },
        lastCritical: undefined,
        invalidDurations: 0,
        evidence: [],
        blame: { logE: 0, logThreshold: Math.log(20) },
        recent: { trials: 0, failures: 0, since: undefined },
        details: { failures: [], others: [] },
        baseline: undefined,
      });
    });

    it.each<[string, Partial<Outcome>, Partial<ArmCounts>]>([
      ['a success', {}, { successes: 1 }],
      ['a failure', { result: 'failure' }, { failures: 1 }],
      ['a user’s own mistake', { result: 'expected' }, { expected: 1 }],
      ['an abort', { result: 'aborted' }, { aborted: 1 }],
      ['a fallback', { result: 'failure', fallbackUsed: true }, { failures: 1, fallbacks: 1 }],
      ['a critical error', { result: 'failure', critical: true }, { failures: 1, critical: 1 }],
      ['a success after retries', { attempts: 3 }, { successes: 1, retried: 1 }],
      ['a failure after retries', { result: 'failure', attempts: 3 }, { failures: 1 }],
    ])('counts %s for its own arm', async (_, facts, counts) => {
      const expected = { ...NO_COUNTS, ...counts };
      for (const [arm, other] of [['treatment', 'control'] as const, ['control', 'treatment'] as const]) {
        const snapshot = (await storeOf([outcomeOf({ ...facts, arm })])).snapshot(START);
        for (const window of snapshot.windows) {
          expect(window[arm]).toEqual(expected);
          expect(window[other]).toEqual(NO_COUNTS);
        }
        expect(snapshot.total[arm]).toMatchObject(expected);
        expect(snapshot.total[other]).toMatchObject(NO_COUNTS);
      }
    });

    it('measures the latency of successes only', async () => {
      const store = await storeOf([
        outcomeOf({ durationMs: 100 }),
        outcomeOf({ durationMs: 300 }),
        outcomeOf({ durationMs: 1, result: 'failure' }),
        outcomeOf({ durationMs: 9, result: 'expected' }),
        outcomeOf({ durationMs: 7, arm: 'control' }),
      ]);
      const { treatment, control } = store.snapshot(START).total;
      expect(treatment.latency).toMatchObject({ count: 2, meanMs: 200 });
      expect(control.latency).toMatchObject({ count: 1, meanMs: 7 });
      expect(treatment.latency!.p50Ms / 100).toBeCloseTo(1, 1);
      expect(treatment.latency!.p99Ms / 300).toBeCloseTo(1, 1);
    });

    it('counts invalid durations and folds none in; an unmeasured one is not invalid', async () => {
      const invalid = [Number.NaN, Number.POSITIVE_INFINITY, -1];
      const store = await storeOf([
        ...invalid.map((durationMs) => outcomeOf({ durationMs })),
        outcomeOf({ durationMs: Number.NaN, result: 'failure' }),
        outcomeOf({ durationMs: undefined }),
      ]);
      const snapshot = store.snapshot(START);
      expect(snapshot.invalidDurations).toBe(4);
      expect(snapshot.total.treatment).toMatchObject({ successes: 4, failures: 1, latency: undefined });
    });

    it('lists failures by type, most frequent first, and bounds how many', async () => {
      const store = await storeOf([
        outcomeOf({ result: 'failure', errorType: 'ECONNRESET' }),
        outcomeOf({ result: 'failure', errorType: 'TimeoutError' }),
        outcomeOf({ result: 'failure', errorType: 'TimeoutError' }),
        outcomeOf({ result: 'failure' }),
        outcomeOf({ result: 'expected', errorType: 'MissingFile' }),
      ]);
      expect(store.snapshot(START).total.treatment.errorTypes).toEqual([
        { errorType: 'TimeoutError', count: 2 },
        { errorType: 'ECONNRESET', count: 1 },
        { errorType: 'unknown', count: 1 },
      ]);
      for (let i = 0; i < 1000; i++) {
        store.record(outcomeOf({ result: 'failure', errorType: `E_${i}_${'x'.repeat(200)}` }));
      }
      const { errorTypes } = store.snapshot(START).total.treatment;
      expect(errorTypes.length).toBeLessThanOrEqual(51);
      expect(errorTypes[0]).toEqual({ errorType: 'other', count: 953 });
      expect(errorTypes.every(({ errorType }) => errorType.length <= 64)).toBe(true);
      expect(errorTypes.reduce((sum, { count }) => sum + count, 0)).toBe(1004);
    });

    it('shows when the last outcome of each arm came', async () => {
      const store = await storeOf([
        outcomeOf({ at: START + 5 }),
        outcomeOf({ at: START + 2, arm: 'control' }),
      ]);
      const { treatment, control } = store.snapshot(START + 10).total;
      expect([treatment.lastOutcomeAt, control.lastOutcomeAt]).toEqual([START + 5, START + 2]);
    });

    it('counts an exposure without an outcome once it is too old, and an outcome that comes late corrects it', async () => {
      const store = await emptyStore();
      const exposuresAt = (at: number) => store.snapshot(at).windows.map(({ exposures }) => exposures);
      const [reported, silent] = [outcomeOf(), outcomeOf({ arm: 'control' })];
      for (const { exposure } of [reported, silent, silent]) store.expose(exposure);
      store.record({ ...reported, at: START + 100 });
      expect(exposuresAt(START + MINUTE)).toEqual([NO_EXPOSURES, NO_EXPOSURES, NO_EXPOSURES]);
      // Counted at the latest one bucket, a tenth of the timeout, after the timeout.
      const later = START + MINUTE + MINUTE / 10;
      const counted = { treatment: { due: 1, unreported: 0 }, control: { due: 2, unreported: 2 } };
      expect(exposuresAt(later)).toEqual([counted, counted, counted]);
      store.record({ ...silent, at: later });
      expect(exposuresAt(later)[0]!.control).toEqual({ due: 2, unreported: 1 });
      // It was due within the last minute, then no longer.
      expect(exposuresAt(later + MINUTE + MINUTE / 10).map(({ control }) => control.due)).toEqual([0, 2, 2]);
      expect(exposuresAt(later + 6 * MINUTE)).toEqual([NO_EXPOSURES, NO_EXPOSURES, NO_EXPOSURES]);
    });

    it('never counts less than nothing as unreported', async () => {
      const store = await emptyStore();
      const outcome = outcomeOf();
      store.expose(outcome.exposure);
      for (let i = 0; i < 3; i++) store.record(outcome);
      expect(store.snapshot(START + 2 * MINUTE).windows[2]!.exposures).toEqual({
        ...NO_EXPOSURES,
        treatment: { due: 1, unreported: 0 },
      });
    });

    it('awaits nothing of an exposure that was withdrawn', async () => {
      const store = await emptyStore();
      store.expose(outcomeOf().exposure);
      store.withdraw(outcomeOf().exposure);
      expect(store.snapshot(START + 2 * MINUTE).windows[2]!.exposures.treatment.unreported).toBe(0);
    });

    it('forgets exposures with the windows, and ignores earlier ones', async () => {
      const store = await emptyStore();
      const { exposure } = outcomeOf();
      store.expose(exposure);
      store.beginEpoch(2, START + 1, { keepWindows: true });
      const exposuresOf = () => store.snapshot(START + 2 * MINUTE).windows[2]!.exposures;
      expect(exposuresOf().treatment.due).toBe(1);
      store.beginEpoch(3, START + 2, { keepWindows: false });
      store.expose(exposure);
      store.withdraw(exposure);
      expect(exposuresOf()).toEqual(NO_EXPOSURES);
    });

    it('merges exposures of a store with another timeout', async () => {
      const [store, other] = await Promise.all([
        emptyStore(),
        factory({ flagKey: 'async-upload', windowsMs: [MINUTE], now: START, outcomeTimeoutMs: 5 * MINUTE }),
      ]);
      other.beginEpoch(1, START, { keepWindows: false });
      for (const arm of ['treatment', 'control'] as const) other.expose(outcomeOf({ arm }).exposure);
      other.record(outcomeOf());
      for (const delta of takenFrom(other, START)) store.merge(delta, START);
      const { exposures } = store.snapshot(START + 2 * MINUTE).windows[2]!;
      expect(exposures).toEqual({ treatment: { due: 1, unreported: 0 }, control: { due: 1, unreported: 1 } });
    });

    it('counts complaints where an outcome of the same exposure would count', async () => {
      const store = await emptyStore();
      const complaints = () => {
        const { windows, total } = store.snapshot(START);
        return [windows[0]!.treatment, windows[0]!.control, total.treatment, total.control].map(
          (counts) => counts.complaints,
        );
      };
      const control = outcomeOf({ arm: 'control' }).exposure;
      store.recordComplaint(outcomeOf().exposure, START);
      store.recordComplaint(control, START);
      store.recordComplaint(control, START);
      expect(complaints()).toEqual([1, 2, 1, 2]);
      store.beginEpoch(2, START, { keepWindows: true });
      store.recordComplaint(control, START);
      expect(complaints()).toEqual([1, 3, 0, 0]);
      store.beginEpoch(3, START, { keepWindows: false });
      store.recordComplaint(control, START);
      expect(complaints()).toEqual([0, 0, 0, 0]);
    });

    it('hands the baseline on with each snapshot, in every epoch', async () => {
      const store = await emptyStore();
      expect(store.snapshot(START).baseline).toBeUndefined();
      const baseline = { memory: { bytes: 500, samples: 60, since: START - MINUTE, until: START } };
      store.setBaseline(baseline);
      store.beginEpoch(2, START, { keepWindows: false });
      store.recordMemory(700, START);
      const snapshot = store.snapshot(START);
      expect(snapshot.baseline).toEqual(baseline);
      expect(snapshot.windows[0]?.memory?.baselineBytes).toBe(500);
    });

    it('shows the latest critical error of the treatment for as long as the longest window', async () => {
      const critical = { result: 'failure', critical: true } as const;
      const store = await storeOf([
        outcomeOf({ ...critical, errorType: 'EMFILE', at: START }),
        outcomeOf({ ...critical, errorType: 'ENOSPC', at: START + 1 }),
        outcomeOf({ ...critical, errorType: 'ENOMEM', at: START + 2, arm: 'control' }),
      ]);
      const last = { errorType: 'ENOSPC', at: START + 1 };
      expect(store.snapshot(START + 2).lastCritical).toEqual(last);
      expect(store.snapshot(START + 1 + 5 * MINUTE).lastCritical).toEqual(last);
      expect(store.snapshot(START + 2 + 5 * MINUTE).lastCritical).toBeUndefined();
    });

    it('lets windows expire while idle, and keeps the totals', async () => {
      const store = await storeOf([outcomeOf({ result: 'failure', at: START })]);
      const failuresAfter = (ms: number) =>
        store.snapshot(START + ms).windows.map(({ treatment }) => treatment.failures);
      expect(failuresAfter(MINUTE)).toEqual([1, 1, 1]);
      expect(failuresAfter(MINUTE + 1000)).toEqual([0, 1, 1]);
      expect(failuresAfter(102_000)).toEqual([0, 0, 1]);
      expect(failuresAfter(5 * MINUTE + 5000)).toEqual([0, 0, 0]);
      expect(store.snapshot(START + 24 * 60 * MINUTE).total.treatment.failures).toBe(1);
    });

    it('starts an epoch with empty windows', async () => {
      const store = await storeOf([outcomeOf({ result: 'failure', critical: true, durationMs: -1 })]);
      store.beginEpoch(2, START + 1, { keepWindows: false });
      const snapshot = store.snapshot(START + 1);
      expect(snapshot).toMatchObject({ epoch: 2, epochStartedAt: START + 1, invalidDurations: 0 });
      expect(snapshot.windows.every(({ treatment }) => treatment.failures === 0)).toBe(true);
      expect(snapshot.total.treatment).toMatchObject({
        failures: 0,
        errorTypes: [],
        lastOutcomeAt: undefined,
      });
      expect(snapshot.lastCritical).toBeUndefined();
      // What began before an operator turned the flag on again does not describe what runs now.
      store.record(outcomeOf({ epoch: 1, result: 'failure', critical: true, at: START + 2 }));
      const later = store.snapshot(START + 2);
      expect(later.windows.every(({ treatment }) => treatment.failures === 0)).toBe(true);
      expect(later.total.treatment.failures).toBe(0);
      expect(later.lastCritical).toBeUndefined();
    });

    it('starts an epoch that keeps the windows', async () => {
      const store = await storeOf([outcomeOf({ result: 'failure' })]);
      store.beginEpoch(2, START + 1, { keepWindows: true });
      store.record(outcomeOf({ epoch: 1, result: 'failure', at: START + 2 }));
      store.record(outcomeOf({ epoch: 2, at: START + 3 }));
      const snapshot = store.snapshot(START + 3);
      for (const { treatment } of snapshot.windows) {
        expect(treatment).toMatchObject({ successes: 1, failures: 2 });
      }
      expect(snapshot.total.treatment).toMatchObject({ successes: 1, failures: 0, errorTypes: [] });
    });

    it('has a delta for what was recorded since the last one, and none for nothing', async () => {
      const store = await storeOf([outcomeOf()]);
      expect(store.takeDelta(START)?.counts[0]).toBe(1);
      expect(store.takeDelta(START)).toBeUndefined();
      store.record(outcomeOf({ at: START + 1 }));
      store.record(outcomeOf({ at: START + 2 }));
      expect(store.takeDelta(START + 2)?.counts[0]).toBe(2);
    });

    it('has deltas that survive JSON and contain no name of a user', async () => {
      const store = await storeOf([
        outcomeOf({ attributes: { file: 'holiday.jpg' } }),
        outcomeOf({ durationMs: 7 }),
      ]);
      const delta = store.takeDelta(START);
      const json = JSON.stringify(delta);
      expect(parseOutcomeDelta(JSON.parse(json))).toEqual(JSON.parse(json));
      expect(json).not.toMatch(/user-1/);
    });

    it('puts nothing into its own delta that was merged from another', async () => {
      const store = await emptyStore();
      const other = await storeOf([outcomeOf({ result: 'failure', critical: true, errorType: 'ENOSPC' })]);
      expect(store.merge(other.takeDelta(START)!, START)).toBe(true);
      expect(store.snapshot(START).total.treatment.failures).toBe(1);
      expect(store.takeDelta(START)).toBeUndefined();
    });

    it('refuses a delta of another flag, version or epoch to come, and stays as it was', async () => {
      const store = await emptyStore();
      const delta = (await storeOf([outcomeOf()])).takeDelta(START)!;
      const before = store.snapshot(START);
      expect(store.merge({ ...delta, epoch: 2 }, START)).toBe(false);
      expect(store.merge({ ...delta, flagKey: 'other' }, START)).toBe(false);
      expect(store.merge({ ...delta, version: 1 as 4 }, START)).toBe(false);
      expect(store.snapshot(START)).toEqual(before);
    });

    it('merges a late delta of an earlier epoch as it counts late outcomes of it', async () => {
      const [receiver, whole, sender] = [
        await evaluatingStore(),
        await evaluatingStore(),
        await evaluatingStore(),
      ];
      for (const store of [receiver, whole]) {
        store.beginEpoch(2, START, { keepWindows: true });
        store.beginEpoch(3, START, { keepWindows: true });
        store.record(outcomeOf({ epoch: 3, targetingKey: 'user-0' }));
      }
      for (let i = 1; i <= 30; i++) {
        const late = outcomeOf({
          arm: i % 3 === 0 ? 'control' : 'treatment',
          result: i % 2 === 0 ? 'failure' : 'success',
          critical: i % 8 === 0,
          errorType: 'ENOSPC',
          targetingKey: `user-${i}`,
          at: START + i,
        });
        for (const store of [sender, whole]) {
          store.expose(late.exposure);
          if (i % 5 > 0) store.record(late);
          if (i % 7 === 0) store.recordComplaint(late.exposure, START + i);
        }
      }
      const [delta] = takenFrom(sender, START + 30);
      expect(receiver.merge(delta!, START + 30)).toBe(true);
      receiver.settleUpTo(START + 30);
      const snapshot = receiver.snapshot(START + 30);
      expectSame(snapshot, whole.snapshot(START + 30));
      expect(snapshot).toMatchObject({
        total: { treatment: { successes: 1, failures: 0, complaints: 0 }, control: { successes: 0 } },
        lastCritical: { errorType: 'ENOSPC' },
      });
      expect(snapshot.windows[0]!.treatment.failures).toBeGreaterThan(0);
      // Of what is here, only what was recorded here is passed on.
      expect(receiver.takeDelta(START + 30)!.windows[0]!.buckets[0]!.counts[0]).toBe(1);
      // Exposures without an outcome are due by now.
      const later = receiver.snapshot(START + 2 * MINUTE);
      expect(later.windows.map(({ exposures }) => exposures)).toEqual(
        whole.snapshot(START + 2 * MINUTE).windows.map(({ exposures }) => exposures),
      );
      expect(later.windows[2]!.exposures.treatment.unreported).toBeGreaterThan(0);
    });

    it('refuses a delta from before the windows were emptied, and merges those since', async () => {
      const store = await emptyStore();
      store.beginEpoch(4, START, { keepWindows: false });
      store.beginEpoch(5, START, { keepWindows: true });
      const delta = (await storeOf([outcomeOf()])).takeDelta(START)!;
      const taken = [1, 3, 4, 5, 6].filter((epoch) => store.merge({ ...delta, epoch }, START));
      expect(taken).toEqual([4, 5]);
      const { windows, total } = store.snapshot(START);
      expect(windows[0]!.treatment.successes).toBe(2);
      expect(total.treatment.successes).toBe(1);
    });

    it('counts correctly for a sender whose clock is ahead or behind', async () => {
      const store = await storeOf([outcomeOf({ result: 'failure' })]);
      const ahead = await storeOf([outcomeOf({ at: START + 60 * MINUTE })]);
      const behind = await storeOf([outcomeOf({ at: START - 60 * MINUTE })]);
      store.merge(ahead.takeDelta(START + 60 * MINUTE)!, START);
      store.merge(behind.takeDelta(START - 60 * MINUTE)!, START);
      const snapshot = store.snapshot(START);
      for (const { treatment } of snapshot.windows) {
        expect(treatment).toMatchObject({ failures: 1, successes: 1 });
      }
      expect(snapshot.total.treatment).toMatchObject({ failures: 1, successes: 2, lastOutcomeAt: START });
      const empty = await emptyStore();
      const critical = outcomeOf({ result: 'failure', critical: true, at: START + 60 * MINUTE });
      ahead.record(critical);
      empty.merge(ahead.takeDelta(START + 60 * MINUTE)!, START);
      const { total, lastCritical } = empty.snapshot(START);
      expect([total.treatment.lastOutcomeAt, lastCritical?.at]).toEqual([START, START]);
    });

    it('gathers evidence for the triggers with a test, and for no other', async () => {
      const store = await evaluatingStore();
      const { evidence } = store.snapshot(START);
      expect(evidence?.map(({ trigger }) => trigger)).toEqual(
        EVIDENCE_FOR.slice(0, -1).map(({ name }) => name),
      );
      expect((await emptyStore()).snapshot(START).evidence).toEqual([]);
    });

    it('finds a failing treatment, goes on through percentages, and begins anew with a new rollout', async () => {
      const store = await evaluatingStore();
      for (let i = 0; i < 400; i++) {
        const arm = i % 10 === 0 ? 'treatment' : 'control';
        const result = arm === 'treatment' ? 'failure' : 'success';
        store.record(outcomeOf({ arm, result, chance: 0.1, targetingKey: `user-${i}` }));
      }
      expect(evidenceOf(store, 'regression')).toMatchObject({
        breached: true,
        events: 40,
        counts: { treatment: { trials: 40, failures: 40 }, control: { trials: 360, failures: 0 } },
      });
      expect(evidenceOf(store, 'limit')).toMatchObject({ breached: true, events: 40 });
      const { blame, windows, recent } = store.snapshot(START);
      expect(blame.logE).toBeGreaterThan(blame.logThreshold);
      expect(windows[0]!.settled).toEqual({
        treatment: { trials: 40, failures: 40 },
        control: { trials: 360, failures: 0 },
        randomised: 40,
      });
      expect(windows[0]!.units).toBe(8);
      expect(recent).toEqual({ trials: 20, failures: 20, since: START });
      const { logE } = evidenceOf(store, 'regression');
      store.beginEpoch(2, START + 1, { keepWindows: true });
      expect(evidenceOf(store, 'regression')).toMatchObject({ breached: false, logE, events: 40 });
      store.record(outcomeOf({ epoch: 2, result: 'failure', targetingKey: 'user-0' }));
      expect(evidenceOf(store, 'regression')).toMatchObject({ repeated: 1, events: 40 });
      store.beginEpoch(3, START + 2, { keepWindows: false });
      expect(evidenceOf(store, 'regression')).toMatchObject({
        breached: false,
        logE: 0,
        events: 0,
        repeated: 0,
      });
      expect(store.snapshot(START + 2).recent.trials).toBe(0);
    });

    it('compares with the control as it was when none remains', async () => {
      const store = await evaluatingStore();
      for (let i = 0; i < 2_000; i++) {
        store.record(
          outcomeOf({ arm: 'control', result: i % 100 === 0 ? 'failure' : 'success', targetingKey: '' }),
        );
      }
      store.beginEpoch(2, START, { keepWindows: true });
      // A change of the rollout at 100 % must not forget the baseline.
      store.beginEpoch(3, START, { keepWindows: true });
      for (let i = 0; i < 40; i++) {
        store.record(outcomeOf({ epoch: 3, reason: 'STATIC', result: 'failure', targetingKey: `t${i}` }));
      }
      const evidence = evidenceOf(store, 'regression');
      expect(evidence).toMatchObject({
        breached: true,
        counts: { treatment: { trials: 40, failures: 40 }, control: { trials: 2_000, failures: 20 } },
        frozen: { counts: { trials: 2_000, failures: 20 }, at: START },
      });
      expect(evidence.frozen!.maxRate).toBeGreaterThan(0.01);
      expect(evidence.frozen!.maxRate).toBeLessThan(0.03);
    });

    it('is fed by a fleet as by one process, in the order of exposures', async () => {
      const [whole, receiver] = [await evaluatingStore(), await evaluatingStore()];
      const senders = [await evaluatingStore(), await evaluatingStore()];
      for (let second = 0; second < 60; second++) {
        const at = START + second * 1_000;
        for (let i = 0; i < 10; i++) {
          const outcome = outcomeOf({
            at: at + i,
            arm: i === 0 ? 'treatment' : 'control',
            result: i === 0 || second % 9 === i ? 'failure' : 'success',
            chance: 0.1,
            targetingKey: `user-${second}-${i}`,
          });
          whole.record(outcome);
          senders[i % 2]!.record({ ...outcome, exposure: { ...outcome.exposure, sequence: undefined } });
        }
        // The second one first: its delta waits until both are known.
        for (const sender of [...senders].reverse()) {
          for (const delta of takenFrom(sender, at)) expect(receiver.merge(delta, at)).toBe(true);
        }
        receiver.settleUpTo(at + 999);
      }
      const end = START + MINUTE;
      expect(evidenceOf(whole, 'regression', end).breached).toBe(true);
      for (const trigger of ['regression', 'aborts', 'ratio']) {
        expect(evidenceOf(receiver, trigger, end)).toEqual(evidenceOf(whole, trigger, end));
      }
      expect(receiver.snapshot(end).blame).toEqual(whole.snapshot(end).blame);
    });

    it('feeds nothing before it has settled in all processes', async () => {
      const [store, other] = [await evaluatingStore(), await evaluatingStore()];
      other.record(outcomeOf({ result: 'failure' }));
      for (const delta of takenFrom(other, START)) store.merge(delta, START);
      expect(evidenceOf(store, 'regression').events).toBe(0);
      store.settleUpTo(START - 1);
      expect(evidenceOf(store, 'regression').events).toBe(0);
      store.settleUpTo(START);
      expect(evidenceOf(store, 'regression').events).toBe(1);
    });

    it('finds a slow treatment in a fleet', async () => {
      const receiver = await evaluatingStore();
      const senders = [await evaluatingStore(), await evaluatingStore()];
      for (let i = 0; i < 800; i++) {
        const arm = i % 2 === 0 ? 'treatment' : 'control';
        const durationMs = (100 + (i % 37)) * (arm === 'treatment' ? 3 : 1);
        const at = START + i;
        senders[i % 3 === 0 ? 1 : 0]!.record(outcomeOf({ arm, durationMs, at, targetingKey: `user-${i}` }));
        if (i % 10 > 0) continue;
        for (const sender of senders) for (const delta of takenFrom(sender, at)) receiver.merge(delta, at);
        receiver.settleUpTo(at);
      }
      const { breached, quantiles } = evidenceOf(receiver, 'slower', START + 800);
      expect(breached).toBe(true);
      const { treatment } = quantiles![0]!.counts;
      expect([quantiles![0]!.quantile, treatment.failures]).toEqual([0.5, treatment.trials]);
    });

    it('knows a unit that another process has reported', async () => {
      const [here, there] = [await evaluatingStore(), await evaluatingStore()];
      there.record(outcomeOf({ targetingKey: 'user-7', result: 'failure' }));
      for (const delta of takenFrom(there, START)) here.merge(delta, START);
      here.settleUpTo(START);
      here.record(outcomeOf({ targetingKey: 'user-7', result: 'failure', at: START + 1 }));
      here.record(outcomeOf({ targetingKey: 'user-8', result: 'failure', at: START + 2 }));
      expect(evidenceOf(here, 'regression', START + 2)).toMatchObject({ events: 2, repeated: 1 });
      // Only its own are in its delta.
      const [delta] = takenFrom(here, START + 2);
      expect(delta?.evidence?.settled).toHaveLength(2);
      expect(delta?.recent.outcomes).toHaveLength(2);
      expect(delta?.details.failures).toHaveLength(2);
    });

    it('says since when an exposure is open, and takes a hang for a failure', async () => {
      const store = await evaluatingStore();
      expect(store.openSince).toBeUndefined();
      const hanging = outcomeOf({ at: START + 1 });
      store.expose({ ...hanging.exposure, isOperation: true });
      const next = outcomeOf({ at: START + 2, targetingKey: 'user-2', result: 'failure' });
      store.expose(next.exposure);
      store.record(next);
      expect([store.openSince, evidenceOf(store, 'regression', START + 29_000).events]).toEqual([
        START + 1,
        0,
      ]);
      expect(evidenceOf(store, 'regression', START + 30_001).events).toBe(2);
      expect(store.openSince).toBeUndefined();
    });

    it('has deltas of bounded size, however many users there are', async () => {
      const sizeOf = async (users: number) => {
        const store = await evaluatingStore();
        for (let i = 0; i < users; i++) {
          const result = i % 7 === 0 ? 'failure' : 'success';
          store.record(outcomeOf({ targetingKey: `user-${i}`, result, at: START + i }));
        }
        return JSON.stringify(store.takeDelta(START + users)).length;
      };
      expect(await sizeOf(50_000)).toBeLessThan(27_000);
    });

    it('refuses invalid evidence, and accepts a delta without any', async () => {
      const store = await evaluatingStore();
      store.record(outcomeOf());
      const delta = store.takeDelta(START)!;
      const impossible = { ...delta.evidence!, settled: [[-1, START, 0.5, 0, 1, 1]] };
      expect(parseOutcomeDelta({ ...delta, evidence: impossible })).toBeUndefined();
      const { evidence: _, ...without } = delta;
      expect((await evaluatingStore()).merge(parseOutcomeDelta(without)!, START)).toBe(true);
    });

    it('adds up: merged deltas of several stores are one store that saw everything', async () => {
      const run = fc.asyncProperty(scenario, async ({ events, idleMs, order }) => {
        const whole = await evaluatingStore();
        const senders = await Promise.all([0, 1, 2].map(() => evaluatingStore()));
        const deltas: OutcomeDelta[][] = [[], [], []];
        let at = START;
        for (const { sender, afterMs, takes, facts, ending } of events) {
          at += afterMs;
          // A user stays on one process: limits count a user once in each.
          const named = {
            ...facts,
            at,
            targetingKey: facts.targetingKey && `${facts.targetingKey} of ${sender}`,
          };
          for (const store of [whole, senders[sender]!]) {
            const outcome = outcomeOf(named);
            store.expose(outcome.exposure);
            if (ending !== 'silence') store.record(outcome);
            if (ending === 'complaint') store.recordComplaint(outcome.exposure, at);
          }
          if (takes) deltas[sender]!.push(...takenFrom(senders[sender]!, at));
        }
        const receiver = await evaluatingStore();
        // By then all has settled.
        const end = at + 2 * MINUTE + idleMs;
        for (const [index, sender] of senders.entries()) deltas[index]!.push(...takenFrom(sender, end));
        for (const delta of interleaved(deltas, order)) expect(receiver.merge(delta, end)).toBe(true);
        receiver.settleUpTo(end);
        expectSame(receiver.snapshot(end), whole.snapshot(end));
      });
      await fc.assert(run, { numRuns });
    });
  });
}

const MAX_EVENTS = 60;

const scenario = fc.record({
  idleMs: fc.integer({ min: 0, max: 2 * MINUTE }),
  order: fc.array(fc.nat(), { minLength: MAX_EVENTS, maxLength: MAX_EVENTS }),
  events: fc.array(
    fc.record({
      sender: fc.integer({ min: 0, max: 2 }),
      // Now and then a long silence, in which buckets expire before their delta is taken.
      afterMs: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 1, max: 5000 }) },
        fc.integer({ min: 1, max: 90_000 }),
      ),
      takes: fc.boolean(),
      ending: fc.constantFrom(
        'outcome' as const,
        'outcome' as const,
        'silence' as const,
        'complaint' as const,
      ),
      facts: fc.record({
        arm: fc.constantFrom('treatment' as const, 'control' as const),
        result: fc.constantFrom(
          'success' as const,
          'failure' as const,
          'expected' as const,
          'aborted' as const,
        ),
        durationMs: fc.oneof(
          fc.double({ min: 0, max: 5_000_000, noNaN: true }),
          fc.constantFrom(Number.NaN, undefined),
        ),
        errorType: fc.constantFrom('ECONNRESET', 'TimeoutError', '__proto__', undefined),
        critical: fc.boolean(),
        fallbackUsed: fc.boolean(),
        attempts: fc.integer({ min: 1, max: 3 }),
        reason: fc.constantFrom('SPLIT', 'SPLIT', 'STATIC', 'TARGETING_MATCH', 'STALE'),
        targetingKey: fc.constantFrom('user-1', 'user-2', 'user-3', ''),
      }),
    }),
    { maxLength: MAX_EVENTS },
  ),
});

/** A store's delta as it arrives elsewhere, if there is one. */
function takenFrom(store: MemoryOutcomeStore, now: number): OutcomeDelta[] {
  const delta = store.takeDelta(now);
  return delta === undefined ? [] : [parseOutcomeDelta(JSON.parse(JSON.stringify(delta)))!];
}

/** Of several senders at once, each in its own order: as a fleet's leader gets them, whatever the way there. */
function interleaved<T>(senders: readonly (readonly T[])[], order: readonly number[]): T[] {
  const waiting = senders.map((items) => [...items]);
  const all: T[] = [];
  for (let turn = 0; all.length < senders.flat().length; turn++) {
    const filled = waiting.filter((items) => items.length > 0);
    all.push(filled[(order[turn] ?? 0) % filled.length]!.shift()!);
  }
  return all;
}

/** Equal in all but the rounding of a sum of floats. */
function expectSame(actual: Snapshot, expected: Snapshot): void {
  for (const arm of ['treatment', 'control'] as const) {
    const [mean, expectedMean] = [actual.total[arm].latency?.meanMs, expected.total[arm].latency?.meanMs];
    if (mean !== undefined && expectedMean !== undefined) expect(mean).toBeCloseTo(expectedMean, 5);
  }
  expect(withoutMeans(actual)).toEqual(withoutMeans(expected));
}

/** Limits and complaints are fed at once, as deltas come: their order differs, and so does how much evidence there is. */
function comparableOf(evidence: Evidence): unknown {
  if (evidence.trigger !== 'limit' && evidence.trigger !== 'complaints') return evidence;
  const { trigger, counts, excluded, repeated, invalid, events } = evidence;
  return { trigger, counts, excluded, repeated, invalid, events };
}

function withoutMeans(snapshot: Snapshot): unknown {
  const comparable = { ...snapshot, evidence: snapshot.evidence?.map(comparableOf) };
  return JSON.parse(JSON.stringify(comparable, (key, value) => (key === 'meanMs' ? 'a mean' : value)));
}
