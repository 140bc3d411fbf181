import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HistoryReader } from '../../src/rollups/history-reader.js';
import { readHistory } from '../../src/rollups/read-history.js';
import type { TimeRange } from '../../src/rollups/rollup.js';
import { RollupBook } from '../../src/rollups/rollup-book.js';
import { RollupFiles } from '../../src/rollups/rollup-files.js';
import { lineOfRollup } from '../../src/rollups/rollup-line.js';
import { processorMs } from '../helpers/machine-time.js';
import { armOf, HOUR, MINUTE, NOON, rollupOf } from './rollups.js';

const DAY = 24 * HOUR;
const part = (at: number, successes: number, failures = 0) =>
  rollupOf({ at, arms: { treatment: armOf({ successes, failures }, [5, 10]), control: armOf() } });

let folder: string;
let book: RollupBook;
let files: RollupFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'history-reader-'));
  book = new RollupBook();
  files = new RollupFiles(folder, 'async-upload', {}, () => {});
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Records one rollup each minute, and writes them. */
async function record(from: number, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    book.add(part(from + minute * MINUTE, 1 + (minute % 7), minute % 3));
    if (minute % 500 === 0)
      book.annotate({ at: from + minute * MINUTE, type: 'percentage', title: `${minute}`, text: 'moved' });
    if (book.pending.length > 1_000) await write();
  }
  await write();
}

async function write(): Promise<void> {
  const pending = [...book.pending];
  await files.write({ book: book.toState(), pending });
  book.written(pending);
}

describe('HistoryReader', () => {
  it('reads what readHistory reads, of any part', async () => {
    // Longer than minutes and ten minutes are kept.
    await record(NOON - 4 * DAY, 4 * 24 * 60);
    const reader = new HistoryReader(folder);
    const ranges: TimeRange[] = [
      {},
      { from: NOON - 3 * HOUR },
      { to: NOON - 3 * DAY },
      { from: NOON - 2 * DAY + 17 * MINUTE, to: NOON - 5 * HOUR + 3 * MINUTE },
      { from: NOON - 30 * MINUTE - 1, to: NOON - 29 * MINUTE },
      { from: NOON + DAY },
      { to: NOON - 20 * DAY },
    ];
    for (const range of ranges) expect(await reader.read(range)).toEqual(await readHistory(folder, range));
  });

  it('sees what was written since, and what is not written yet', async () => {
    await record(NOON, 10);
    const reader = new HistoryReader(folder);
    const total = async (unwritten?: Parameters<HistoryReader['read']>[1]) =>
      (await reader.read({}, unwritten)).rollups.reduce((sum, { arms }) => sum + arms.treatment.successes, 0);
    const first = await total();
    await record(NOON + 10 * MINUTE, 1);
    expect(await total()).toBe(first + 1);
    book.add(part(NOON + 11 * MINUTE, 100));
    const unwritten = { pending: book.pending, running: book.running.map(lineOfRollup) };
    expect(await total(unwritten)).toBe(first + 101);
  });

  it('has what a guard without a folder keeps in memory', async () => {
    for (let minute = 0; minute < 90; minute++) book.add(part(NOON + minute * MINUTE, 1));
    const reader = new HistoryReader(undefined);
    const found = await reader.read({}, { pending: book.pending, running: book.running.map(lineOfRollup) });
    expect(found.rollups).toHaveLength(90);
  });

  it('is empty without any rollup', async () => {
    expect(await new HistoryReader(folder).read()).toEqual({ rollups: [], annotations: [] });
  });

  it('never holds up the event loop for long', async () => {
    await record(NOON - 4 * DAY, 4 * 24 * 60);
    let longestMs = 0;
    let last = process.cpuUsage();
    const timer = setInterval(() => {
      const { user, system } = process.cpuUsage(last);
      longestMs = Math.max(longestMs, (user + system) / 1_000);
      last = process.cpuUsage();
    }, 1);
    const usedMs = await processorMs(() => new HistoryReader(folder).read());
    clearInterval(timer);
    expect(usedMs).toBeLessThan(5_000);
    // Whatever the machine is: a part of the whole at most.
    expect(longestMs).toBeLessThan(Math.max(100, usedMs / 2));
  });
});
