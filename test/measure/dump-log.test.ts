import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveLogOptions } from '../../src/log/log-options.js';
import { OutcomeLog } from '../../src/log/outcome-log.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Outcome } from '../../src/model/shapes.js';
import { outcomeOf, START } from './outcomes.js';

const SECOND = 1_000;

function emptyStore(now = START): MemoryOutcomeStore {
  const store = new MemoryOutcomeStore({
    flagKey: 'async-upload',
    windowsMs: [60_000],
    now,
    evidenceFor: [
      {
        name: 'regression',
        evidence: { test: 'event', event: 'failure', alpha: 0.02, ratio: 1, minDifference: 0.02 },
      },
      { name: 'limit', evidence: { test: 'limit', alpha: 0.01, maxFailureRate: 0.05 } },
      { name: 'slower', evidence: { test: 'latency', alpha: 0.02, ratio: 1.2 } },
    ],
  });
  store.beginEpoch(1, now, { keepWindows: true });
  return store;
}

/** One run of a process that logs into the folder, from its start on. */
async function runIn(folder: string, now: number) {
  const clock = { now };
  const store = emptyStore(now);
  const log = new OutcomeLog({
    ...resolveLogOptions({ csv: false, summaryMs: 10 * SECOND }),
    flagKey: 'async-upload',
    clock: { now: () => clock.now, monotonic: () => clock.now },
    dump: () => store.dump(clock.now),
    onFault: (what, error) => {
      throw new Error(what, { cause: error });
    },
  });
  const counted = await log.open({ folder, epoch: 1, emptyStore, now });
  if (counted !== undefined) store.restore(counted, now);
  log.rollout(1, 10);
  log.start();
  return {
    store,
    log,
    async record(outcomes: readonly Outcome[]) {
      for (const outcome of outcomes) {
        clock.now = outcome.at;
        store.record({ ...outcome, exposure: { ...outcome.exposure } });
        log.record(outcome);
      }
      await log.flush();
    },
  };
}

function outcomes(from: number, to: number, at: number): Outcome[] {
  return Array.from({ length: to - from }, (_, i) => from + i).map((i) =>
    outcomeOf({
      arm: i % 5 === 0 ? 'treatment' : 'control',
      result: i % 25 === 0 ? 'failure' : 'success',
      durationMs: 100 + (i % 37),
      targetingKey: `user-${i}`,
      at,
    }),
  );
}

describe('evidence after a restart from the log', () => {
  it.each([
    ['closed', true],
    ['crashed, with lines after the last checkpoint', false],
  ])('counts each outcome once when the run before %s', async (_, closes) => {
    const folder = await mkdtemp(join(tmpdir(), 'evidence-'));
    try {
      const whole = emptyStore();
      const first = await runIn(folder, START);
      // The first batch is in a checkpoint, the second one in the log alone.
      const [early, late] = [outcomes(0, 200, START + 11 * SECOND), outcomes(200, 300, START + 12 * SECOND)];
      await first.record(early);
      await first.record(late);
      if (closes) await first.log.close();
      const second = await runIn(folder, START + 13 * SECOND);
      const next = outcomes(300, 420, START + 14 * SECOND);
      for (const outcome of [...early, ...late, ...next]) {
        whole.record({ ...outcome, exposure: { ...outcome.exposure } });
      }
      await second.record(next);
      const now = START + 15 * SECOND;
      expect(second.store.snapshot(now).evidence).toEqual(whole.snapshot(now).evidence);
      expect(second.store.snapshot(now).evidence![1]!.counts.treatment).toEqual({ trials: 84, failures: 17 });
      // Units in the checkpoint speak no more.
      await second.record([...outcomes(0, 200, now), ...outcomes(200, 300, now)]);
      expect(second.store.snapshot(now).evidence![0]!.repeated).toBe(12);
      await second.log.close();
      if (!closes) await first.log.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
