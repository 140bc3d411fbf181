import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SERIES } from '../../src/rollups/book-state.js';
import { readHistory } from '../../src/rollups/read-history.js';
import type { RolloutHistory } from '../../src/rollups/rollup.js';
import { RollupBook } from '../../src/rollups/rollup-book.js';
import { RollupFiles } from '../../src/rollups/rollup-files.js';
import { armOf, HOUR, MINUTE, NOON, rollupOf } from './rollups.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollups-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process that keeps rollups. */
class Run {
  readonly gone: string[] = [];
  readonly book = new RollupBook();
  readonly files: RollupFiles;
  constructor(path = folder, permit = async () => {}) {
    this.files = new RollupFiles(path, 'a-flag', { permit }, (file) => this.gone.push(file));
  }
  async open(): Promise<this> {
    const left = await this.files.open();
    if (left !== undefined) this.book.restore(left);
    return this;
  }
  add(minute: number, successes: number, errorTypes: [string, number][] = []): void {
    const treatment = armOf({ failures: errorTypes.length, errorTypes }, new Array(successes).fill(100));
    this.book.add(rollupOf({ at: NOON + minute * MINUTE, arms: { treatment, control: armOf() } }));
  }
  async write(): Promise<void> {
    const pending = [...this.book.pending];
    await this.files.write({ book: this.book.toState(), pending });
    this.book.written(pending);
  }
}

const path = (name: string) => join(folder, 'rollups', name);
const successes = ({ rollups }: RolloutHistory) =>
  rollups.reduce((sum, { arms }) => sum + arms.treatment.successes, 0);

describe('the files of rollups', () => {
  it('count each outcome once over restarts and crashes, whatever the clock does', async () => {
    const anyStep = fc.oneof(
      { weight: 5, arbitrary: fc.record({ minutes: fc.integer({ min: -90, max: 200 }), count: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.constant('write' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('crash' as const, 'crash in a write' as const, 'exit' as const),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
        const place = await mkdtemp(join(folder, 'run-'));
        let run = await new Run(place).open();
        let minute = 0;
        let [recorded, written] = [0, 0];
        for (const step of steps) {
          if (typeof step === 'object') {
            minute += step.minutes;
            run.add(minute, step.count);
            recorded += step.count;
          } else if (step === 'write') {
            await run.write();
            written = recorded;
          } else {
            if (step === 'exit') {
              // Only a guard that has written before knows that the folder is its own.
              await run.write();
              run.add(minute, 3);
              recorded += 3;
              run.files.writeSync({ book: run.book.toState(), pending: run.book.pending });
              written = recorded;
            } else if (step === 'crash in a write') {
              for (const { name } of SERIES) {
                const files = await readdir(join(place, 'rollups')).catch(() => []);
                const last = files
                  .filter((file) => file.startsWith(`${name}.0`))
                  .sort()
                  .at(-1);
                if (last !== undefined) await appendFile(join(place, 'rollups', last), '{"at":17700');
              }
            }
            run = await new Run(place).open();
            recorded = written;
          }
        }
        await run.write();
        expect(successes(await readHistory(place))).toBe(recorded);
        expect(run.book.total?.arms.treatment.successes ?? 0).toBe(recorded);
        expect(run.gone).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('are written again when a write failed', async () => {
    let mayWrite = true;
    const permit = async () => {
      if (!mayWrite) throw new Error('the folder is another guard’s');
    };
    const run = await new Run(folder, permit).open();
    run.add(0, 1);
    await run.write();
    mayWrite = false;
    for (let minute = 1; minute < 15; minute++) {
      run.add(minute, 1);
      await expect(run.write()).rejects.toThrow('another guard');
      run.files.writeSync({ book: run.book.toState(), pending: run.book.pending });
    }
    expect(successes(await readHistory(folder))).toBe(1);
    mayWrite = true;
    await run.write();
    expect(successes(await readHistory(folder))).toBe(15);
  });

  it('are bounded: minutes of more than a day, ten minutes of more than a week, hours, and nothing is lost', async () => {
    const run = await new Run().open();
    const days = 10;
    for (let minute = 0; minute < days * 1_440; minute++) {
      run.add(minute, 1);
      if (minute % 240 === 239) await run.write();
    }
    await run.write();
    const { rollups } = await readHistory(folder);
    expect(successes({ rollups, annotations: [] })).toBe(days * 1_440);
    const lengths = (durationMs: number) => rollups.filter((each) => each.durationMs === durationMs).length;
    expect(lengths(MINUTE)).toBeGreaterThanOrEqual(1_440);
    expect(lengths(MINUTE)).toBeLessThanOrEqual(1_801);
    expect(lengths(10 * MINUTE) * 10 + lengths(MINUTE)).toBeGreaterThanOrEqual(7 * 1_440);
    expect(lengths(HOUR)).toBeGreaterThan(0);
    const files = await readdir(join(folder, 'rollups'));
    expect(files.filter((name) => name.startsWith('minutes.'))).toHaveLength(5);
    for (const name of files) expect((await stat(path(name))).mode & 0o777).toBe(0o600);
  });

  it('keep error types of any name and length, and few of them', async () => {
    const run = await new Run().open();
    run.add(0, 0, [
      ['__proto__', 2],
      ['line\nbreak', 1],
      ['x'.repeat(10_000), 1],
    ]);
    for (let index = 0; index < 500; index++) run.add(0, 0, [[`E_${index}`, 1]]);
    await run.write();
    const { errorTypes } = (await readHistory(folder)).rollups[0]!.arms.treatment;
    const counts = new Map(errorTypes);
    expect([counts.get('__proto__'), counts.get('line\nbreak'), counts.get('x'.repeat(64))]).toEqual([
      2, 1, 1,
    ]);
    expect(errorTypes).toHaveLength(51);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(504);
  });

  it.each([
    ['damaged', '{"version":1,'],
    ['of another version', '{"version":9}'],
    [
      'of another flag',
      JSON.stringify({
        version: 1,
        flagKey: 'other',
        layout: {},
        book: { running: [], versions: [] },
        pending: [],
      }),
    ],
  ])('are set aside when their state is %s, and begin anew', async (_what, text) => {
    const first = await new Run().open();
    first.add(0, 4);
    first.add(1, 4);
    await first.write();
    await writeFile(path('state.json'), text);
    const run = new Run();
    await expect(run.open()).rejects.toThrow('rollups.unreadable-1');
    run.add(2, 1);
    await run.write();
    expect(successes(await readHistory(folder))).toBe(1);
    const aside = await readFile(join(folder, 'rollups.unreadable-1', 'minutes.000001.jsonl'), 'utf8');
    expect(aside.trim().split('\n')).toHaveLength(1);
  });

  it('go on where a file was cut or removed, and report it', async () => {
    const run = await new Run().open();
    for (let minute = 0; minute < 4; minute++) run.add(minute, 1);
    await run.write();
    await truncate(path('minutes.000001.jsonl'), 50);
    run.add(4, 1);
    await run.write();
    expect(run.gone).toEqual([path('minutes.000001.jsonl')]);
    await rm(path('minutes.000001.jsonl'));
    run.add(5, 1);
    run.add(6, 1);
    await run.write();
    expect(successes(await readHistory(folder))).toBe(3);
    expect(run.book.total?.arms.treatment.successes).toBe(7);
  });

  it('are empty where there are none', async () => {
    expect(await readHistory(join(folder, 'none'))).toEqual({ rollups: [], annotations: [] });
  });
});
