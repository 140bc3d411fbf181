import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { logOptionsSchema } from '../../src/log/log-options.js';
import { columnsWith, type OutcomeRow, outcomeOfRow } from '../../src/log/log-row-schema.js';
import type { Outcome, Result } from '../../src/model/shapes.js';
import { parseConfig } from '../../src/support/config-error.js';
import { eventually } from '../helpers/eventually.js';
import { outcomeOf, START } from '../measure/outcomes.js';
import { ATTRIBUTE_COLUMNS, type Logging, parseCsv, rowsIn, startLogging } from './logging.js';

const COLUMNS = columnsWith(ATTRIBUTE_COLUMNS);

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

/** Every line as it is in the file. */
const linesIn = async (path: string) =>
  (await readFile(join(path, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');

const weightOf = (rows: readonly OutcomeRow[]) => rows.reduce((sum, { weight }) => sum + weight, 0);

const csvIn = async (path: string) => parseCsv(await readFile(join(path, 'metrics.csv'), 'utf8'));

describe('OutcomeLog', () => {
  it('writes one row for each outcome, the same to both files', async () => {
    const { log, record } = await start(folder);
    record(
      outcomeOf({
        result: 'failure',
        durationMs: 12.345_678,
        errorType: 'ECONNRESET',
        fallbackUsed: true,
        attempts: 3,
        attributes: { file_size_mb: 7.25, provider: 's3', request_id: 'r-1', contentType: 'a/b' },
      }),
    );
    await log.close();
    const [row] = await rowsIn(folder);
    expect(row).toEqual({
      timestamp: '2023-11-14T22:13:20.123Z',
      flag_key: 'async-upload',
      arm: 'treatment',
      execution_type: 'fallback',
      success: false,
      result: 'failure',
      duration_ms: 12.346,
      error_type: 'ECONNRESET',
      fallback_used: true,
      percentage: 10,
      epoch: 1,
      file_size_mb: 7.25,
      provider: 's3',
      request_id: 'r-1',
      user: expect.stringMatching(/^u[\w-]{22}$/),
      chance: 0.5,
      unit: expect.stringMatching(/^u[\w-]{22}$/),
      operation: false,
      critical: false,
      attempts: 3,
      user_succeeded: true,
      reason: 'SPLIT',
      variant: null,
      evaluation_error: null,
      exposed_ms_ago: 0,
      attributes: { contentType: 'a/b' },
      weight: 1,
    });
    const [header, cells] = await csvIn(folder);
    expect(header).toEqual(COLUMNS);
    const table = { ...row, exposed_at: row!.timestamp } as Record<string, unknown>;
    expect(cells).toEqual(
      header!.map((name) =>
        table[name] === null
          ? ''
          : typeof table[name] === 'object'
            ? JSON.stringify(table[name])
            : String(table[name]),
      ),
    );
  });

  it('leaves out of a line what is null, usual, or said by the line before', async () => {
    const executionTypes = { treatment: 'async', control: 'sync', fallback: 'sync_fallback' };
    const { log, record } = await start(folder, { executionTypes });
    const outcome = outcomeOf({ chance: 0.1, durationMs: 250.123_4, attributes: { provider: 's3' } });
    const { exposure, at } = outcome;
    const unit = exposure.targetingKey;
    const usual = {
      ...outcome,
      exposure: { ...exposure, unit, variant: 'on', isOperation: true, at: at - 250 },
    };
    record(usual);
    await log.flush();
    record(usual);
    record({ ...usual, result: 'failure', fallbackUsed: true, errorType: 'ECONNRESET' });
    await log.close();
    const [first, second, third] = (await linesIn(folder)).map((line) => JSON.parse(line));
    const said = {
      timestamp: '2023-11-14T22:13:20.123Z',
      arm: 'treatment',
      success: true,
      duration_ms: 250.123,
      percentage: 10,
      epoch: 1,
      user: expect.any(String),
      reason: 'SPLIT',
      provider: 's3',
    };
    expect(first).toEqual({ ...said, flag_key: 'async-upload', execution_type: 'async', variant: 'on' });
    expect(second).toEqual(said);
    expect(third).toEqual({
      ...said,
      success: false,
      fallback_used: true,
      error_type: 'ECONNRESET',
      execution_type: 'sync_fallback',
    });
    expect(await rowsIn(folder)).toMatchObject([
      { flag_key: 'async-upload', execution_type: 'async', chance: 0.1, exposed_ms_ago: 250, weight: 1 },
      { flag_key: 'async-upload', execution_type: 'async', unit: first.user, operation: true },
      { flag_key: 'async-upload', execution_type: 'sync_fallback', result: 'failure', user_succeeded: true },
    ]);
  });

  it('says the flag and the names of paths again in each file, each run, and after lines that were lost', async () => {
    const executionTypes = { treatment: 'async' };
    const named = async () =>
      (await linesIn(folder)).map((line) => {
        const { flag_key, execution_type } = JSON.parse(line);
        return flag_key === 'async-upload' && execution_type === 'async';
      });
    const first = await start(folder, { executionTypes });
    for (let count = 0; count < 2; count++) first.record(outcomeOf());
    await first.log.close();
    const second = await start(folder, { executionTypes });
    for (let count = 0; count < 2; count++) second.record(outcomeOf());
    await second.log.flush();
    expect(await named()).toEqual([true, false, true, false]);
    await rm(join(folder, 'metrics.jsonl'));
    await symlink('/dev/full', join(folder, 'metrics.jsonl'));
    second.record(outcomeOf());
    await second.log.flush();
    await rm(join(folder, 'metrics.jsonl'));
    for (let count = 0; count < 2; count++) second.record(outcomeOf());
    await second.log.flush();
    expect(await named()).toEqual([true, false]);
  });

  it('gives no attribute a column of its own by default', async () => {
    const { log, record } = await start(folder, { columns: [] });
    record(outcomeOf({ attributes: { provider: 's3', tenant: 't-1' } }));
    await log.close();
    const [row] = await rowsIn(folder);
    expect(Object.keys(row!).sort()).toEqual(
      columnsWith([])
        .map((name) => (name === 'exposed_at' ? 'exposed_ms_ago' : name))
        .sort(),
    );
    expect(row?.attributes).toEqual({ provider: 's3', tenant: 't-1' });
    expect((await csvIn(folder))[0]).toEqual(columnsWith([]));
    expect(COLUMNS.filter((name) => !ATTRIBUTE_COLUMNS.includes(name))).toEqual(columnsWith([]));
  });

  it('writes the value of an attribute with a column, and none where it is missing or not a value', async () => {
    const { log, record } = await start(folder, { columns: ['tenant', 'bytes', 'cached'] });
    record(outcomeOf({ attributes: { tenant: 'x'.repeat(1_000), bytes: 3, cached: false } }));
    record(outcomeOf({ attributes: { bytes: Number.NaN, other: 1 } }));
    await log.close();
    const [first, second] = await rowsIn(folder);
    expect(first).toMatchObject({ tenant: 'x'.repeat(256), bytes: 3, cached: false, attributes: null });
    expect(second).not.toHaveProperty('tenant');
    expect(second).toMatchObject({ attributes: { other: 1 } });
    expect(outcomeOfRow(second!).attributes).toEqual({ other: 1 });
  });

  it.each([
    [['epoch'], 'no column of the log has'],
    [['a', 'a'], 'each column once'],
    [['a b'], 'the name of an attribute'],
    [['__proto__'], 'the name of an attribute'],
    [Array.from({ length: 33 }, (_, index) => `c${index}`), 'at most 32 columns'],
  ])('refuses the columns %j', (columns, message) => {
    expect(() => parseConfig(logOptionsSchema, { columns }, 'log')).toThrow(message);
  });

  it.each([
    [{}, 'async'],
    [{ arm: 'control' }, 'sync'],
    [{ result: 'failure', fallbackUsed: true }, 'sync_fallback'],
    [{ result: 'failure', userSucceeded: false }, 'async'],
  ] as const)('calls %o what the application calls it', async (facts, name) => {
    const executionTypes = { treatment: 'async', control: 'sync', fallback: 'sync_fallback' };
    const { log, record } = await start(folder, { executionTypes });
    record(outcomeOf(facts));
    await log.flush();
    expect(await rowsIn(folder)).toMatchObject([{ execution_type: name }]);
  });

  it('gives back every outcome as it was, but for the user', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const at = fc.integer({ min: 0, max: 4_000_000_000_000 });
    const anyOutcome: fc.Arbitrary<Outcome> = fc.record({
      exposure: fc.record({
        flagKey: fc.constant('async-upload'),
        arm: fc.constantFrom('treatment', 'control'),
        variant: fc.option(text, { nil: undefined }),
        reason: fc.constantFrom('SPLIT', 'STATIC', undefined),
        errorCode: fc.option(text, { nil: undefined }),
        targetingKey: fc.option(text, { nil: undefined }),
        epoch: fc.integer({ min: 1, max: 5 }),
        at,
      }),
      result: fc.constantFrom<Result[]>('success', 'failure', 'expected', 'aborted'),
      durationMs: fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }).map(Math.abs), { nil: undefined }),
      errorType: fc.option(text, { nil: undefined }),
      critical: fc.boolean(),
      fallbackUsed: fc.boolean(),
      userSucceeded: fc.boolean(),
      attempts: fc.integer({ min: 1, max: 9 }),
      attributes: fc.option(
        fc.dictionary(
          fc.oneof(text, fc.constantFrom('__proto__', 'constructor')),
          fc.oneof(
            text,
            fc.boolean(),
            fc.integer(),
            fc.double({ noNaN: true, noDefaultInfinity: true, min: 0.5 }),
          ),
          { minKeys: 1, maxKeys: 5 },
        ),
        { nil: undefined },
      ),
      at,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyOutcome, { minLength: 1, maxLength: 30 }), async (outcomes) => {
        const path = await mkdtemp(join(folder, 'run-'));
        const { log, record, faults } = await start(path);
        for (const outcome of outcomes) record(outcome);
        await log.close();
        expect(faults).toEqual([]);
        const rows = await rowsIn(path);
        const hashed = outcomes.map((outcome, index) => ({
          ...outcome,
          exposure: {
            ...outcome.exposure,
            isOperation: outcome.exposure.isOperation === true,
            targetingKey: rows[index]?.user ?? undefined,
            unit: rows[index]?.unit ?? undefined,
            sequence: undefined,
          },
          durationMs:
            outcome.durationMs === undefined ? undefined : Math.round(outcome.durationMs * 1_000) / 1_000,
          attributes: outcome.attributes && { ...outcome.attributes },
        }));
        expect(rows.map(outcomeOfRow)).toEqual(hashed);
        rows.forEach(({ user }, index) => {
          expect(user === null).toBe(outcomes[index]!.exposure.targetingKey === undefined);
        });
        const csv = await csvIn(path);
        expect(csv).toHaveLength(outcomes.length + 1);
        expect(csv.every((cells) => cells.length === COLUMNS.length)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['=1+2', "'=1+2"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', "' =1"],
    ['a,"b"\nc', 'a,"b" c'],
    ['s3', 's3'],
  ])('keeps spreadsheets from misreading %j', async (provider, cell) => {
    const { log, record } = await start(folder);
    record(outcomeOf({ attributes: { provider } }));
    await log.flush();
    const [header, cells] = await csvIn(folder);
    expect(cells?.[header!.indexOf('provider')]).toBe(cell);
    expect(await rowsIn(folder)).toMatchObject([{ provider }]);
  });

  it('hides users: equal hashes for equal keys within a folder, across runs, and nowhere else', async () => {
    const userIn = async (path: string) => {
      const { log, record } = await start(path);
      record(outcomeOf());
      await log.close();
      return (await rowsIn(path)).at(-1)?.user;
    };
    const first = await userIn(folder);
    expect(await userIn(folder)).toBe(first);
    expect(await userIn(join(folder, 'other'))).not.toBe(first);
    expect((await stat(join(folder, 'salt'))).mode & 0o777).toBe(0o600);
    for (const name of ['metrics.jsonl', 'metrics.csv', 'checkpoint.json']) {
      expect(await readFile(join(folder, name), 'utf8')).not.toContain('user-1');
    }
  });

  it('makes a new salt where a crash left half of one', async () => {
    await writeFile(join(folder, 'salt'), 'ab');
    const { faults } = await start(folder);
    expect(faults).toEqual([]);
    expect(await readFile(join(folder, 'salt'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
  });

  it('gives an outcome the percentage of the epoch in which its flag was evaluated', async () => {
    const { log, record } = await start(folder);
    log.rollout(2, 50);
    record(outcomeOf({ epoch: 1 }));
    record(outcomeOf({ epoch: 2 }));
    record(outcomeOf({ epoch: 0 }));
    await log.flush();
    expect((await rowsIn(folder)).map(({ percentage }) => percentage)).toEqual([10, 50, null]);
  });

  it('bounds the length of a line', async () => {
    const { log, record } = await start(folder);
    const long = 'x'.repeat(100_000);
    const many = Array.from({ length: 1_000 }, (_, index) => [`${index}${long}`, long]);
    record(outcomeOf({ errorType: long, attributes: { ...Object.fromEntries(many), provider: long } }));
    await log.flush();
    expect((await stat(join(folder, 'metrics.jsonl'))).size).toBeLessThan(20_000);
  });

  it.each([
    ['no time', { at: Number.NaN }],
    ['a time beyond the calendar', { at: 1e300 }],
  ])('leaves out and counts an outcome with %s', async (_what, facts) => {
    const { log, record, faults } = await start(folder);
    record(outcomeOf(facts));
    record(outcomeOf());
    await log.flush();
    expect(await rowsIn(folder)).toHaveLength(1);
    expect(log.droppedLines).toBe(1);
    expect(faults).toHaveLength(1);
  });

  it.each([
    ['NaN', Number.NaN],
    ['infinite', Number.POSITIVE_INFINITY],
    ['negative', -3],
  ])('writes a duration that is %s as a negative one', async (_what, durationMs) => {
    const { log, record } = await start(folder);
    record(outcomeOf({ durationMs }));
    await log.flush();
    expect((await rowsIn(folder))[0]?.duration_ms).toBeLessThan(0);
  });

  it('writes in the background, and without a reason to keep the process', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { record } = await start(folder, { flushMs: 500 });
      record(outcomeOf());
      vi.advanceTimersByTime(500);
      await eventually(async () => expect(await rowsIn(folder)).toHaveLength(1));
      expect(vi.getTimerCount()).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('writes a burst as lines of its budget that stand for all of it', async () => {
    const { log, record, faults } = await start(folder, { csv: false });
    for (let count = 0; count < 200_000; count++)
      record(outcomeOf({ arm: count % 10 < 9 ? 'control' : 'treatment' }));
    await log.flush();
    const rows = await rowsIn(folder);
    expect(rows.length).toBeLessThanOrEqual(500);
    expect(rows.length).toBeGreaterThan(200);
    expect(weightOf(rows.filter(({ arm }) => arm === 'control'))).toBe(180_000);
    expect(weightOf(rows.filter(({ arm }) => arm === 'treatment'))).toBe(20_000);
    expect([log.droppedLines, faults]).toEqual([0, []]);
  });

  it('bounds what waits, and loses none of it', async () => {
    const { log, record } = await start(folder, { maxWaiting: 10 });
    for (let count = 0; count < 25; count++) record(outcomeOf({ result: count < 5 ? 'failure' : 'success' }));
    await log.flush();
    const rows = await rowsIn(folder);
    expect(rows.length).toBeLessThanOrEqual(10);
    expect(weightOf(rows.filter(({ success }) => !success))).toBe(5);
    expect(weightOf(rows)).toBe(25);
  });

  it('counts all outcomes for which a line stands that could not be written', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { log, record } = await start(join(file, 'logs'), { maxLinesPerSecond: 10 });
    for (let count = 0; count < 1_000; count++) record(outcomeOf());
    await log.flush();
    expect(log.droppedLines).toBe(1_000);
  });

  it('sets full files aside and bounds the disk', async () => {
    const { log, record, time } = await start(folder, { maxFileBytes: 65_536, maxFiles: 3 });
    for (let index = 0; index < 2_000; index++) {
      record(outcomeOf({ attributes: { request_id: `r-${index}` } }));
      time.now += 2;
      if (index % 50 === 49) await log.flush();
    }
    await log.close();
    const names = (await readdir(folder)).filter((name) => name.startsWith('metrics.'));
    expect(names.filter((name) => name.endsWith('.jsonl'))).toHaveLength(3);
    expect(names.filter((name) => name.endsWith('.csv'))).toHaveLength(3);
    for (const name of names) expect((await stat(join(folder, name))).size).toBeLessThanOrEqual(65_536);
    const rows = await rowsIn(folder);
    expect(rows.length).toBeGreaterThan(200);
    const last = rows.map(({ request_id }) => request_id);
    expect(last).toEqual(
      Array.from({ length: rows.length }, (_, index) => `r-${2_000 - rows.length + index}`),
    );
    for (const name of names.filter((candidate) => candidate.endsWith('.csv'))) {
      const [header] = parseCsv(await readFile(join(folder, name), 'utf8'));
      expect(header).toEqual(COLUMNS);
    }
  });

  it('begins a new table when an earlier version wrote other columns', async () => {
    await writeFile(join(folder, 'metrics.csv'), 'timestamp,arm\nthen,control\n');
    const { log, record } = await start(folder);
    record(outcomeOf());
    await log.flush();
    expect(await readFile(join(folder, 'metrics.000001.csv'), 'utf8')).toBe('timestamp,arm\nthen,control\n');
    expect(await csvIn(folder)).toHaveLength(2);
  });

  it.each(['metrics.jsonl', 'metrics.csv'])(
    'cuts off what a crash left of a last line in %s',
    async (name) => {
      const first = await start(folder);
      first.record(outcomeOf());
      await first.log.close();
      const whole = await readFile(join(folder, name), 'utf8');
      for (const torn of [whole.split('\n').at(-2)!.slice(0, 40), 'x'.repeat(200_000)]) {
        await writeFile(join(folder, name), whole + torn);
        const { log } = await start(folder);
        await log.close();
        expect(await readFile(join(folder, name), 'utf8')).toBe(whole);
      }
    },
  );

  it('can leave the table out', async () => {
    const { log, record } = await start(folder, { csv: false });
    record(outcomeOf());
    await log.close();
    expect(await readdir(folder)).not.toContain('metrics.csv');
  });
});

/** Whether this process may mount; a container's root often may not. */
function mounts(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'outcome-log-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', ['-l', probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(probe);
  }
}

describe('OutcomeLog on a disk that fails', () => {
  const hasFullDevice = process.platform === 'linux';
  const canMount = hasFullDevice && process.getuid?.() === 0 && mounts();

  it.runIf(hasFullDevice).each(['metrics.jsonl', 'metrics.csv'])(
    'reports once that the disk is full (%s), counts the lost lines, and resumes when there is space',
    async (name) => {
      await symlink('/dev/full', join(folder, name));
      const full = await start(folder);
      for (let count = 0; count < 3; count++) {
        full.record(outcomeOf());
        await full.log.flush();
      }
      expect(full.faults).toHaveLength(1);
      expect(full.faults[0]).toContain('ENOSPC');
      expect(full.log.droppedLines).toBe(name === 'metrics.jsonl' ? 3 : 0);
      await rm(join(folder, name));
      full.record(outcomeOf());
      await full.log.close();
      const rows = await rowsIn(folder);
      expect(rows).toHaveLength(name === 'metrics.jsonl' ? 1 : 4);
      expect(await csvIn(folder)).toHaveLength(name === 'metrics.csv' ? 2 : 5);
    },
  );

  it.skipIf(!canMount)(
    'leaves no half line where a disk filled up in the middle (needs root, for a tmpfs)',
    async () => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', folder]);
      try {
        const { log, record, faults, time } = await start(folder, { csv: false });
        await log.flush();
        let recorded = 0;
        for (; log.droppedLines === 0 && recorded < 2_000; recorded++) {
          record(outcomeOf());
          time.now += 2;
          if (recorded % 40 === 0) await log.flush();
        }
        const text = await readFile(join(folder, 'metrics.jsonl'), 'utf8');
        expect(text.endsWith('}\n')).toBe(true);
        expect((await rowsIn(folder)).length).toBe(recorded - log.droppedLines - ((recorded - 1) % 40));
        expect(faults).toHaveLength(1);
        expect(faults[0]).toContain('ENOSPC');
        await log.close();
      } finally {
        execFileSync('umount', ['-l', folder]);
      }
    },
  );

  it('reports once that the folder cannot be written, and continues', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { log, record, store, faults } = await start(join(file, 'logs'));
    for (let count = 0; count < 5; count++) {
      record(outcomeOf());
      await log.flush();
    }
    expect(log.droppedLines).toBe(5);
    expect(store.snapshot(START).total.treatment.successes).toBe(5);
    expect(faults.filter((fault) => fault.startsWith('writing'))).toHaveLength(1);
  });

  it.skipIf(process.getuid?.() === 0)('loses only the log in a read-only folder (not as root)', async () => {
    await chmod(folder, 0o555);
    const { log, record, faults } = await start(folder);
    record(outcomeOf());
    await log.flush();
    expect(log.droppedLines).toBe(1);
    expect(faults).toHaveLength(1);
    await chmod(folder, 0o755);
  });

  it('survives a store that cannot be dumped', async () => {
    const { log, record, store, faults } = await start(folder);
    await log.flush();
    const dump = vi.spyOn(store, 'dump').mockImplementation(() => {
      throw new Error('store');
    });
    log.rollout(2, 50);
    await log.flush();
    expect(faults).toEqual(['writing the outcome log: store']);
    dump.mockRestore();
    record(outcomeOf());
    await log.flush();
    expect(await rowsIn(folder)).toHaveLength(1);
  });

  it('survives a listener that throws', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const run = await start(join(file, 'logs'));
    run.faults.push = () => {
      throw new Error('listener');
    };
    expect(() => run.record(outcomeOf({ at: Number.NaN }))).not.toThrow();
    await expect(run.log.flush()).resolves.toBeUndefined();
  });
});
