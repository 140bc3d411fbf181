import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import { storeDumpSchema } from '../../src/measure/outcome-delta.js';
import { describeOutcomeStore } from './outcome-store-contract.js';
import { outcomeOf, START } from './outcomes.js';

describeOutcomeStore('MemoryOutcomeStore', (setup) => new MemoryOutcomeStore(setup));

const MINUTE = 60_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function storeOf(windowsMs: readonly number[] = [MINUTE]): MemoryOutcomeStore {
  return new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs, now: START });
}

function memoryAt(store: MemoryOutcomeStore, now: number) {
  return store.snapshot(now).windows[0]?.memory;
}

const baselineOf = (bytes: number) => ({ memory: { bytes, samples: 60, since: START, until: START } });

describe('MemoryOutcomeStore', () => {
  it('keeps each window length once, ascending', () => {
    const { windows } = storeOf([5 * MINUTE, MINUTE, 5 * MINUTE]).snapshot(START);
    expect(windows.map(({ windowMs }) => windowMs)).toEqual([MINUTE, 5 * MINUTE]);
  });

  it('allocates the counts of its windows with the first outcome', () => {
    const buffersInUse = () => {
      // What other tests left behind would else be freed in between. Buffers are freed in the background until the next collection.
      collectGarbage();
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const buffersOf = (work: () => unknown) => {
      const before = buffersInUse();
      const kept = work();
      return [buffersInUse() - before, kept] as const;
    };
    const [made, stores] = buffersOf(() =>
      Array.from({ length: 50 }, () => storeOf([MINUTE, 5 * MINUTE, 30 * MINUTE])),
    );
    const [recorded] = buffersOf(() => {
      for (const store of stores as MemoryOutcomeStore[]) store.record(outcomeOf());
    });
    expect(made / 50).toBeGreaterThan(0);
    expect(made / 50).toBeLessThan(12_000);
    expect(recorded / 50).toBeGreaterThan(24_000);
  });

  it('works without any window', () => {
    const store = storeOf([]);
    store.record(outcomeOf());
    expect(store.snapshot(START)).toMatchObject({ windows: [], total: { treatment: { successes: 1 } } });
  });

  it('starts epoch 0 at the time given, or at present', () => {
    expect(storeOf().snapshot(START)).toMatchObject({ epoch: 0, epochStartedAt: START });
    const before = Date.now();
    const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: [] });
    expect(store.snapshot(before).epochStartedAt).toBeGreaterThanOrEqual(before);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'counts an outcome at %d at the latest known time',
    (at) => {
      const store = storeOf();
      store.record(outcomeOf({ at: START + 5 }));
      store.record({ ...outcomeOf({ result: 'failure' }), at });
      const snapshot = store.snapshot(START + 5);
      expect(snapshot.windows[0]?.treatment).toMatchObject({ successes: 1, failures: 1 });
      expect(snapshot.total.treatment.lastOutcomeAt).toBe(START + 5);
    },
  );

  it('measures the memory baseline as the median of the first minute of work, then keeps it', () => {
    const store = storeOf();
    const sample = (seconds: number, bytes: number, worked = true) => {
      if (worked) store.record(outcomeOf({ at: START + seconds * 1000 }));
      store.recordMemory(bytes, START + seconds * 1000);
      return memoryAt(store, START + seconds * 1000)?.baselineBytes;
    };
    expect(sample(0, 900)).toBeUndefined();
    // Idle: however long, it shows nothing of a process that works.
    for (let seconds = 1; seconds <= 100; seconds++) expect(sample(seconds, 10, false)).toBeUndefined();
    for (const [index, bytes] of [100, 110, 120, 125, 128, 131].entries()) {
      expect(sample(101 + index * 10, bytes)).toBeUndefined();
    }
    expect(sample(161, 130)).toBe(126.5);
    for (let seconds = 162; seconds < 260; seconds++) sample(seconds, 5000);
    store.beginEpoch(1, START + 300_000, { keepWindows: true });
    expect(memoryAt(store, START + 300_000)?.baselineBytes).toBe(126.5);
  });

  it('accepts a memory baseline from outside, before and after its own', () => {
    const store = storeOf();
    store.setBaseline(baselineOf(500));
    store.recordMemory(100, START);
    store.recordMemory(100, START + 2 * MINUTE);
    expect(memoryAt(store, START + 2 * MINUTE)?.baselineBytes).toBe(500);
    store.setBaseline(baselineOf(600));
    expect(memoryAt(store, START + 2 * MINUTE)?.baselineBytes).toBe(600);
  });

  it('shows the lowest sample of each window, and for how long there have been samples', () => {
    const store = storeOf([MINUTE, 5 * MINUTE]);
    store.recordMemory(100, START);
    for (let seconds = 10; seconds <= 90; seconds += 10) {
      store.recordMemory(seconds % 20 === 0 ? 900 : 300, START + seconds * 1000);
    }
    const [short, long] = store.snapshot(START + 90_000).windows;
    expect(short?.memory).toMatchObject({ lowestBytes: 300, spanMs: MINUTE });
    expect(long?.memory).toMatchObject({ lowestBytes: 100, spanMs: 90_000 });
  });

  it('forgets memory samples of before the flag was turned on again', () => {
    const store = storeOf();
    store.setBaseline(baselineOf(100));
    for (let seconds = 0; seconds <= 60; seconds += 10) store.recordMemory(100, START + seconds * 1000);
    store.beginEpoch(1, START + MINUTE, { keepWindows: false });
    expect(memoryAt(store, START + MINUTE)).toBeUndefined();
    store.recordMemory(700, START + MINUTE + 1);
    expect(memoryAt(store, START + MINUTE + 1)).toEqual({ baselineBytes: 100, lowestBytes: 700, spanMs: 0 });
  });

  it('restores the state of an earlier run: exposures that were due, and complaints', () => {
    const [earlier, next] = [storeOf(), storeOf()];
    const [old, recent] = [outcomeOf({ epoch: 0 }), outcomeOf({ epoch: 0, at: START + 90_000 })];
    for (const { exposure } of [old, old, recent]) earlier.expose(exposure);
    earlier.record(old);
    earlier.recordComplaint(old.exposure, START + 90_000);
    const dump = storeDumpSchema.parse(JSON.parse(JSON.stringify(earlier.dump(START + 100_000))));
    expect(next.restore(dump, START + 101_000)).toBe(true);
    const now = START + 101_000;
    expect(next.snapshot(now).windows).toEqual(earlier.snapshot(now).windows);
    expect(next.snapshot(now)).toMatchObject({
      windows: [{ exposures: { treatment: { due: 2, unreported: 1 } } }],
      total: { treatment: { complaints: 1 } },
    });
    // The one that was under way when the earlier run ended does not count against the arm.
    expect(next.snapshot(START + 160_000).windows[0]?.exposures.treatment).toEqual({ due: 0, unreported: 0 });
  });

  it('restores no dump of another epoch or flag', () => {
    const [earlier, next] = [storeOf(), storeOf()];
    earlier.record(outcomeOf({ epoch: 0 }));
    const dump = earlier.dump(START);
    const other = { ...dump, contents: { ...dump.contents, flagKey: 'other' } };
    next.beginEpoch(1, START + 1, { keepWindows: true });
    const before = next.snapshot(START + 1);
    for (const each of [dump, other]) expect(next.restore(each, START + 1)).toBe(false);
    expect(next.snapshot(START + 1)).toEqual(before);
  });

  it('leaves out invalid memory samples', () => {
    const store = storeOf();
    for (const bytes of [Number.NaN, 0, -1, Number.POSITIVE_INFINITY]) store.recordMemory(bytes, START);
    store.recordMemory(100, Number.NaN);
    expect(memoryAt(store, START)).toBeUndefined();
  });
});
