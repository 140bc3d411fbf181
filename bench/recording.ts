/**
 * What recording costs: one outcome, an exposure, a snapshot; and that memory stays flat.
 * Run with `npx tsx bench/recording.ts`.
 */
import { createHistogram } from 'node:perf_hooks';
import { ExposureLedger } from '../src/measure/exposure-ledger.js';
import { LatencyHistogram } from '../src/measure/latency-histogram.js';
import { MemoryOutcomeStore } from '../src/measure/memory-outcome-store.js';
import type { Exposure, Outcome } from '../src/model/shapes.js';
import { errorTypeOf } from '../src/operation/error-type.js';
import { collectGarbage, compare, printComparison, retainedBytes } from './harness.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const START = 1_700_000_000_000;
const WINDOWS_MS = [60_000, 300_000, 1_800_000];
const POOL = 4096;
const MASK = POOL - 1;
/** A busy process: 10,000 outcomes per second. */
const MS_PER_OUTCOME = 0.1;

const pool = Array.from({ length: POOL }, (_, index) => outcomeOf(index, exposureOf(`user-${index}`)));
const durations = Float64Array.from(pool, ({ durationMs }) => durationMs ?? 0);
const microseconds = Array.from(durations, (durationMs) => Math.max(1, Math.round(durationMs * 1000)));

await benchRecording();
await benchLedger();
await benchSnapshot();
await benchRetention();

async function benchRecording(): Promise<void> {
  const native = createHistogram();
  const histogram = new LatencyHistogram();
  const store = storeOf();
  const clocks = { bare: START, store: START };
  let sum = 0;
  const measurements = await compare([
    {
      name: 'node:perf_hooks histogram',
      run(iterations) {
        for (let i = 0; i < iterations; i++) native.record(microseconds[i & MASK]!);
      },
    },
    {
      name: 'bare loop over the outcomes',
      run(iterations) {
        for (let i = 0; i < iterations; i++) {
          const outcome = pool[i & MASK]!;
          outcome.at = clocks.bare += MS_PER_OUTCOME;
          sum += outcome.durationMs ?? 0;
        }
      },
    },
    {
      name: 'LatencyHistogram.record',
      run(iterations) {
        for (let i = 0; i < iterations; i++) histogram.record(durations[i & MASK]!);
      },
    },
    {
      name: 'MemoryOutcomeStore.record, 3 windows',
      run(iterations) {
        for (let i = 0; i < iterations; i++) {
          const outcome = pool[i & MASK]!;
          outcome.at = clocks.store += MS_PER_OUTCOME;
          store.record(outcome);
        }
      },
    },
  ]);
  printComparison('Recording one outcome', measurements, {
    'MemoryOutcomeStore.record, 3 windows': { ns: 100 },
  });
  if (sum < 0) throw new Error('the bare loop must not be optimised away');
}

async function benchLedger(): Promise<void> {
  for (const users of [1000, 1_000_000]) {
    const keys = Array.from({ length: users }, (_, index) => `user-${index}`);
    const remembering = (name: string, remember: (exposure: Exposure) => void) => {
      let next = 0;
      let at = START;
      return {
        name,
        run(iterations: number) {
          for (let i = 0; i < iterations; i++) {
            at += MS_PER_OUTCOME;
            remember(exposureOf(keys[next]!, at));
            next = next + 1 === users ? 0 : next + 1;
          }
        },
      };
    };
    const kept = { exposure: undefined as Exposure | undefined };
    const ring = new ExposureLedger(10_000);
    const awaited = { ledger: new ExposureLedger(10_000), store: storeOf() };
    const searched = new ExposureLedger(10_000);
    let recent = new Map<string, Exposure>();
    let older = new Map<string, Exposure>();
    const measurements = await compare(
      [
        remembering('make the exposure', (exposure) => {
          kept.exposure = exposure;
        }),
        remembering('… and remember it', (exposure) => ring.remember(exposure)),
        remembering('… and await its outcome too', (exposure) => {
          awaited.ledger.remember(exposure);
          awaited.store.expose(exposure);
        }),
        remembering('… and find each (track)', (exposure) => {
          searched.remember(exposure);
          searched.find(exposure.targetingKey!, START);
        }),
        remembering('… into maps at once', (exposure) => {
          recent.set(exposure.targetingKey!, exposure);
          if (recent.size < 5000) return;
          older = recent;
          recent = new Map();
        }),
      ],
      { rounds: 21 },
    );
    printComparison(`Remembering an exposure, ${users.toLocaleString('en')} users`, measurements);
    if (older.size > 5000) throw new Error('the maps must stay bounded');
  }
}

async function benchSnapshot(): Promise<void> {
  const store = storeOf();
  let now = START;
  for (let i = 0; i < 1_000_000; i++) {
    const outcome = pool[i & MASK]!;
    outcome.at = now += MS_PER_OUTCOME;
    store.record(outcome);
  }
  const snapshot = store.snapshot(now);
  const measurements = await compare(
    [
      {
        name: 'JSON.stringify of a snapshot',
        run(iterations) {
          for (let i = 0; i < iterations; i++) JSON.stringify(snapshot);
        },
      },
      {
        name: 'snapshot with 3 windows',
        run(iterations) {
          for (let i = 0; i < iterations; i++) store.snapshot(now);
        },
      },
      {
        name: 'delta of one outcome',
        run(iterations) {
          for (let i = 0; i < iterations; i++) {
            const outcome = pool[i & MASK]!;
            outcome.at = now;
            store.record(outcome);
            store.takeDelta(now);
          }
        },
      },
    ],
    { rounds: 21 },
  );
  printComparison('Reading the store', measurements);
}

async function benchRetention(): Promise<void> {
  const warm = storeOf();
  let at = START;
  const recordMany = (count: number) => {
    for (let i = 0; i < count; i++) {
      const outcome = pool[i & MASK]!;
      outcome.at = at += MS_PER_OUTCOME;
      warm.record(outcome);
    }
  };
  recordMany(100_000);
  const bytes = await retainedBytes(() => recordMany(1_000_000));
  console.log(
    `\nRetained by 1,000,000 records: ${bytes} bytes, ${(bytes / 1_000_000).toFixed(3)} per record`,
  );
  warm.snapshot(at);

  console.log('\n5,000,000 outcomes, 1,000,000 users, 100,000 error messages: heap after garbage collection');
  const store = storeOf();
  const ledger = new ExposureLedger(10_000);
  for (let million = 0; million <= 5; million++) {
    if (million > 0) liveMillion(store, ledger, million);
    collectGarbage();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const mebibytes = ((heapUsed + external + arrayBuffers) / 2 ** 20).toFixed(2);
    console.log(`  after ${million},000,000: ${mebibytes} MiB`);
  }
  const { treatment } = store.snapshot(START).total;
  console.log(`  error types counted by name: ${treatment.errorTypes.length}`);
}

/** What an application does: evaluate, work, fail now and then with a message of its own, report. */
function liveMillion(store: MemoryOutcomeStore, ledger: ExposureLedger, million: number): void {
  for (let i = 0; i < 1_000_000; i++) {
    const index = million * 1_000_000 + i;
    const exposure = exposureOf(`user-${(index * 7919) % 1_000_000}`);
    ledger.remember(exposure);
    const outcome = outcomeOf(index, exposure);
    outcome.at = START + index * MS_PER_OUTCOME;
    if (outcome.result === 'failure') {
      const kind = (index / 20) % 100_000;
      const error = new Error(`upload ${kind} failed`);
      // Worse than messages, which are never read: as many classes.
      error.name = `Failure${kind}`;
      outcome.errorType = errorTypeOf(error);
    }
    store.record(outcome);
    if (i % 100 === 0) ledger.find(exposure.targetingKey!, outcome.at);
  }
}

function storeOf(): MemoryOutcomeStore {
  const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: WINDOWS_MS, now: START });
  store.beginEpoch(1, START, { keepWindows: false });
  return store;
}

function exposureOf(targetingKey: string, at = START): Exposure {
  return {
    flagKey: 'async-upload',
    arm: 'treatment',
    variant: undefined,
    reason: 'SPLIT',
    errorCode: undefined,
    targetingKey,
    epoch: 1,
    at,
  };
}

/** 95 % succeed, in about 20 to 2,000 ms. */
function outcomeOf(index: number, exposure: Exposure): Mutable<Outcome> {
  const failed = index % 20 === 0;
  return {
    exposure,
    result: failed ? 'failure' : 'success',
    // Multiples of the golden ratio spread evenly between 0 and 1.
    durationMs: 20 * 100 ** ((index * 0.618033988749895) % 1),
    errorType: failed ? 'ECONNRESET' : undefined,
    critical: false,
    fallbackUsed: failed,
    userSucceeded: true,
    attempts: 1,
    attributes: undefined,
    at: START,
  };
}
