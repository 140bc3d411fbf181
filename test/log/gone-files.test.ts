import { mkdtemp, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_ROTATION, RotatingFile } from '../../src/log/rotating-file.js';
import { outcomeOf } from '../measure/outcomes.js';
import { type Logging, rowsIn, startLogging } from './logging.js';

let folder: string;
let runs: Logging[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gone-files-'));
  runs = [];
});

afterEach(async () => {
  for (const { log } of runs) await log.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<Logging> {
  const run = await startLogging(folder);
  runs.push(run);
  return run;
}

const recordSome = async ({ log, record }: Logging, count: number) => {
  for (let index = 0; index < count; index++) record(outcomeOf());
  await log.flush();
  // The checkpoint of a new file is written after the lines that found the old one gone.
  await log.flush();
};

const openFiles = async () => {
  const numbers = await readdir('/proc/self/fd');
  const paths = await Promise.all(numbers.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')));
  return paths.filter((path) => path.startsWith(folder));
};

describe('a file of a log', () => {
  it.runIf(process.platform !== 'win32')(
    "is its owner's alone, also when the exit begins it anew",
    async () => {
      const path = join(folder, 'metrics.jsonl');
      const file = new RotatingFile(path, '', DEFAULT_ROTATION);
      await file.append('{}\n');
      await file.close();
      await rm(path);
      file.appendSync('{}\n');
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    },
  );
});

describe('an outcome log', () => {
  it.runIf(process.platform === 'linux')(
    'has no file open while nothing is recorded, and notices one that is moved away meanwhile',
    async () => {
      const run = await start();
      await recordSome(run, 2);
      expect(await openFiles()).toHaveLength(2);
      for (let round = 0; round < 10; round++) await run.log.flush();
      expect(await openFiles()).toEqual([]);
      await recordSome(run, 2);
      expect(await rowsIn(folder)).toHaveLength(4);
      expect(run.faults).toEqual([]);
      for (let round = 0; round < 10; round++) await run.log.flush();
      await rename(join(folder, 'metrics.jsonl'), join(folder, 'metrics.jsonl.1'));
      await recordSome(run, 2);
      expect(await rowsIn(folder)).toHaveLength(2);
      expect(run.faults).toEqual([expect.stringContaining('was removed or moved away')]);
    },
  );

  it('notices a folder that is removed while no file in it is open', async () => {
    const run = await start();
    await recordSome(run, 3);
    const [before] = await rowsIn(folder);
    for (let round = 0; round < 10; round++) await run.log.flush();
    await rm(folder, { recursive: true });
    await recordSome(run, 2);
    expect((await rowsIn(folder)).map(({ user }) => user)).toEqual([before?.user, before?.user]);
    expect(run.faults).toEqual([expect.stringContaining('metrics.jsonl was removed or moved away')]);
    await run.log.close();
    const next = await start();
    await recordSome(next, 1);
    expect(next.store.snapshot(next.time.now).total.treatment.successes).toBe(6);
    expect((await rowsIn(folder)).at(-1)?.user).toBe(before?.user);
  });

  it('whose folder is removed continues in a new one, with the same hashes, and says so once', async () => {
    const run = await start();
    await recordSome(run, 3);
    const [before] = await rowsIn(folder);
    await rm(folder, { recursive: true });
    await recordSome(run, 2);
    await recordSome(run, 2);
    const rows = await rowsIn(folder);
    expect(rows).toHaveLength(4);
    expect(rows[0]?.user).toBe(before?.user);
    expect(run.faults).toEqual([
      `keeping the outcome log: ${join(folder, 'metrics.jsonl')} was removed or moved away; the log continues in a new file.`,
    ]);
    expect(run.log.droppedLines).toBe(0);
    expect((await readdir(folder)).sort()).toEqual([
      'checkpoint.json',
      'metrics.csv',
      'metrics.jsonl',
      'salt',
    ]);
    await run.log.close();
    const next = await start();
    expect(next.store.snapshot(next.time.now).total.treatment.successes).toBe(7);
  });

  it('whose file is moved away by a rotation from outside writes no line into the old one', async () => {
    const run = await start();
    await recordSome(run, 3);
    const moved = join(folder, 'metrics.jsonl.1');
    await rename(join(folder, 'metrics.jsonl'), moved);
    await recordSome(run, 50);
    expect((await readFile(moved, 'utf8')).trimEnd().split('\n')).toHaveLength(3);
    expect(await rowsIn(folder)).toHaveLength(50);
    await run.log.close();
    const next = await start();
    expect(next.store.snapshot(next.time.now).total.treatment.successes).toBe(53);
    await recordSome(next, 1);
    await next.log.close();
    const last = await start();
    expect(last.store.snapshot(last.time.now).total.treatment.successes).toBe(54);
  });

  it('is read although a crash came between setting a full file aside and beginning the next', async () => {
    const run = await start();
    await recordSome(run, 3);
    await run.log.close();
    await rename(join(folder, 'metrics.jsonl'), join(folder, 'metrics.000001.jsonl'));
    expect(await rowsIn(folder)).toHaveLength(3);
  });
});
