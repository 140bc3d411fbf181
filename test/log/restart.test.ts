import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outcome, Result } from '../../src/model/shapes.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { outcomeOf, START } from '../measure/outcomes.js';
import { type Logging, startLogging } from './logging.js';

let folder: string;
const runs: Logging[] = [];

async function start(...args: Parameters<typeof startLogging>): Promise<Logging> {
  const run = await startLogging(...args);
  runs.push(run);
  return run;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outcome-log-'));
});

afterEach(async () => {
  for (const { log } of runs.splice(0)) await log.close();
  await rm(folder, { recursive: true, force: true });
});

/** What a crash leaves behind is what is on disk before `close`: run B begins while run A still stands. */
async function crash({ log }: Logging): Promise<void> {
  await log.flush();
  runs.splice(0);
}

/**
 * Without exposures that are not due yet: a process that ends loses its unfinished work. And without the details of failures, which
 * one unit may have once in each run.
 */
function countedIn(snapshot: Snapshot) {
  const windows = snapshot.windows.map((window) => ({ ...window, exposures: undefined }));
  return { ...snapshot, windows, details: undefined };
}

describe('a restart', () => {
  it('resumes where the run before it ended', async () => {
    const first = await start(folder);
    first.record(outcomeOf({ durationMs: 40 }));
    first.record(outcomeOf({ arm: 'control', result: 'failure', errorType: 'EPIPE' }));
    first.record(outcomeOf({ result: 'failure', errorType: 'ENOSPC', critical: true }));
    const before = first.store.snapshot(START);
    await first.log.close();
    const second = await start(folder);
    expect(second.store.snapshot(START)).toEqual(before);
    expect(second.faults).toEqual([]);
  });

  it('counts a burst of which a sample was written, after a crash', async () => {
    const first = await start(folder, { summaryMs: 1_000_000 });
    await first.log.flush();
    for (let index = 0; index < 6_000; index++) {
      const arm = index % 5 === 0 ? 'treatment' : 'control';
      const result = index % 50 === 0 ? 'failure' : 'success';
      first.record(outcomeOf({ arm, result, durationMs: 100 + (index % 7), targetingKey: `user-${index}` }));
    }
    const before = first.store.snapshot(START);
    await crash(first);
    const second = await start(folder);
    const after = second.store.snapshot(START);
    for (const arm of ['treatment', 'control'] as const) {
      const { latency, errorTypes, ...counts } = before.total[arm];
      expect(after.total[arm]).toMatchObject({ ...counts, errorTypes });
      expect(after.total[arm].latency?.count).toBe(latency?.count);
      expect(after.windows.map((window) => window[arm])).toEqual(before.windows.map((window) => window[arm]));
    }
    // Each line's outcomes are of different units, in the order in which they came.
    expect(after.windows[0]?.settled).toEqual(before.windows[0]?.settled);
    expect(second.faults).toEqual([]);
  });

  it('counts each outcome once, however the runs before it ended', async () => {
    const results: Result[] = ['success', 'failure', 'expected', 'aborted'];
    const anyOutcome = fc.record({
      arm: fc.constantFrom('treatment' as const, 'control' as const),
      result: fc.constantFrom(...results),
      durationMs: fc.option(fc.integer({ min: -1, max: 60_000 }), { nil: undefined }),
      errorType: fc.constantFrom('EPIPE', 'ENOSPC', undefined),
      critical: fc.boolean(),
      fallbackUsed: fc.boolean(),
      attempts: fc.integer({ min: 1, max: 3 }),
      afterMs: fc.integer({ min: 0, max: 90_000 }),
    });
    const anyRun = fc.record({
      outcomes: fc.array(anyOutcome, { maxLength: 12 }),
      ends: fc.constantFrom('close', 'crash'),
      summaryMs: fc.constantFrom(1, 1_000_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyRun, { minLength: 1, maxLength: 5 }), async (plan) => {
        const path = await mkdtemp(join(folder, 'runs-'));
        const whole = await startLogging(join(path, 'whole'));
        let now = START;
        let store = whole.store;
        for (const { outcomes, ends, summaryMs } of plan) {
          const run = await startLogging(join(path, 'parts'), { now, summaryMs, flushMs: 1_000_000 });
          for (const { afterMs, ...facts } of outcomes) {
            now += afterMs;
            run.time.now = now;
            const outcome: Outcome = outcomeOf({ ...facts, at: now });
            run.record(outcome);
            whole.record({ ...outcome, exposure: { ...outcome.exposure, sequence: undefined } });
            if (afterMs % 3 === 0) await run.log.flush();
          }
          if (ends === 'close') await run.log.close();
          else await crash(run);
          expect(run.faults).toEqual([]);
        }
        ({ store } = await startLogging(join(path, 'parts'), { now }));
        expect(countedIn(store.snapshot(now))).toEqual(countedIn(whole.store.snapshot(now)));
        await whole.log.close();
      }),
      { numRuns: 25 },
    );
  });

  it('finds the lines after the checkpoint in files that were set aside since', async () => {
    const first = await start(folder, { maxFileBytes: 65_536, summaryMs: 1_000_000 });
    for (let count = 0; count < 600; count++) {
      first.record(outcomeOf());
      if (count % 20 === 0) await first.log.flush();
    }
    await crash(first);
    const { store } = await start(folder);
    expect(store.snapshot(START).total.treatment.successes).toBe(600);
  });

  it('lets time pass: what has left the windows is gone from them, not from the epoch', async () => {
    const first = await start(folder);
    first.record(outcomeOf());
    await first.log.close();
    const now = START + 120_000;
    const { store } = await start(folder, { now });
    const { windows, total, epochStartedAt } = store.snapshot(now);
    expect(windows.map(({ treatment }) => treatment.successes)).toEqual([0, 1]);
    expect(total.treatment.successes).toBe(1);
    expect(epochStartedAt).toBe(START);
  });

  it.each([
    ['drops the outcomes before an operator turned the flag on again', undefined, 0],
    ['keeps the windows of an epoch whose outcomes still count', 1, 2],
  ])('in a later epoch %s', async (_what, oldestEpoch, inWindow) => {
    const first = await start(folder);
    first.record(outcomeOf({ epoch: 1 }));
    await first.log.flush();
    first.log.rollout(1, 10);
    await first.log.close();
    const late = JSON.parse((await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim());
    await appendFile(join(folder, 'metrics.jsonl'), `${JSON.stringify({ ...late, request_id: 'late' })}\n`);
    await appendFile(join(folder, 'metrics.jsonl'), `${JSON.stringify({ ...late, epoch: 2 })}\n`);
    const { store } = await start(folder, {
      epoch: 2,
      ...(oldestEpoch === undefined ? {} : { oldestEpoch }),
    });
    const { windows, total } = store.snapshot(START);
    expect(total.treatment.successes).toBe(1);
    expect(windows[0]?.treatment.successes).toBe(1 + inWindow);
  });

  it('counts nothing when the log is ahead of the journal', async () => {
    const first = await start(folder, { epoch: 5 });
    first.record(outcomeOf({ epoch: 5 }));
    await first.log.close();
    const { store } = await start(folder, { epoch: 4 });
    expect(store.snapshot(START).windows[0]?.treatment.successes).toBe(0);
  });

  it.each<[string, boolean, (run: Logging) => void]>([
    ['no more', false, () => {}],
    ['an outcome', true, (run) => run.record(outcomeOf())],
    ['an evaluation without an outcome', true, ({ store }) => store.expose(outcomeOf().exposure)],
    ['a complaint', true, ({ store, time }) => store.recordComplaint(outcomeOf().exposure, time.now)],
    ['an epoch', true, ({ store, time }) => store.beginEpoch(2, time.now, { keepWindows: true })],
  ])('ends with a checkpoint only where it says more than the last one: %s', async (_, isNew, happen) => {
    const run = await start(folder);
    await run.log.flush();
    const checkpoint = join(folder, 'checkpoint.json');
    const before = await stat(checkpoint);
    happen(run);
    await run.log.close();
    const after = await stat(checkpoint);
    expect(after.ino !== before.ino || after.mtimeMs !== before.mtimeMs).toBe(isNew);
    expect(run.faults).toEqual([]);
  });

  it('counts an exposure that became due after the last checkpoint', async () => {
    const first = await start(folder);
    first.store.expose(outcomeOf().exposure);
    // It has settled, and its bucket is not due.
    first.time.now = START + 61_000;
    first.log.rollout(2, 20);
    await first.log.flush();
    first.time.now = START + 120_000;
    const exposures = (run: Logging) => run.store.snapshot(START + 120_000).windows[1]!.exposures;
    const before = exposures(first);
    expect(before.treatment).toEqual({ due: 1, unreported: 1 });
    await first.log.close();
    expect(exposures(await start(folder, { now: START + 120_000 }))).toEqual(before);
  });

  it('uses the checkpoint alone when the log was deleted', async () => {
    const first = await start(folder);
    first.record(outcomeOf());
    await first.log.close();
    await rm(join(folder, 'metrics.jsonl'));
    const second = await start(folder);
    second.record(outcomeOf());
    await crash(second);
    const { store } = await start(folder);
    expect(store.snapshot(START).total.treatment.successes).toBe(2);
  });

  it.each([
    ['half a file', '{"version":1,"flag'],
    ['another version', '{"version":2}'],
    ['nothing', ''],
  ])('begins with nothing, and says so, when the checkpoint is %s', async (_what, text) => {
    const first = await start(folder);
    first.record(outcomeOf());
    await first.log.close();
    await writeFile(join(folder, 'checkpoint.json'), text);
    const second = await start(folder);
    expect(second.store.snapshot(START).total.treatment.successes).toBe(0);
    expect(second.faults).toHaveLength(1);
    await second.log.close();
    expect((await start(folder)).faults).toEqual([]);
  });
});
