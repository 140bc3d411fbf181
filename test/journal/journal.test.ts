import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initialState } from '../../src/guard/decide/decide.js';
import { Journal, type JournalEntry } from '../../src/journal/journal.js';

const entry: JournalEntry = { flagKey: 'async-upload', epoch: 2, revision: 'r', state: initialState(7) };

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'journal-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('Journal', () => {
  it('gives back what was saved, in a folder that it makes', async () => {
    const deep = join(folder, 'a', 'b');
    await new Journal(deep).save(entry);
    expect(await new Journal(deep).load()).toEqual(entry);
  });

  it('gives back what was reported', async () => {
    const verdict = {
      trigger: 'latency',
      status: 'breach',
      observed: 2,
      threshold: 1.2,
      unit: 'ratio',
      sampleSize: { treatment: 9, control: 9 },
      windowMs: 1,
      freshnessMs: 0,
      message: 'It is slow.',
    } as const;
    const reported = {
      stage: { epoch: 2, index: 0, status: 'met' },
      openReviews: [{ trigger: 'latency', openedAt: 3, percentage: 10, verdict, okSince: 5 }],
    } as const;
    await new Journal(folder).save({ ...entry, reported });
    expect((await new Journal(folder).load())?.reported).toEqual(reported);
  });

  it('reads a journal without reported state, and leaves out one that is malformed', async () => {
    for (const reported of [undefined, 7, { openReviews: [{ trigger: 'latency' }] }]) {
      await writeFile(join(folder, 'journal.json'), JSON.stringify({ version: 2, ...entry, reported }));
      expect(await new Journal(folder).load()).toEqual({ ...entry, reported: undefined });
    }
  });

  it('loads nothing on a first start', async () => {
    expect(await new Journal(folder).load()).toBeUndefined();
  });

  it('keeps the last of many saves and leaves no draft', async () => {
    const journal = new Journal(folder);
    await Promise.all([1, 2, 3, 4].map((epoch) => journal.save({ ...entry, epoch })));
    expect((await journal.load())?.epoch).toBe(4);
    expect(await readdir(folder)).toEqual(['journal.json']);
  });

  it('refuses a file of another version with one line, whatever else it contains', async () => {
    const path = join(folder, 'journal.json');
    for (const rest of [entry, {}]) {
      await writeFile(path, JSON.stringify({ ...rest, version: 1 }));
      await expect(new Journal(folder).load()).rejects.toMatchObject({
        message: `${path}: written in version 1; this release reads version 2 only`,
      });
    }
  });

  it.each([
    ['half a line', '{"version":1,"flagKey":"async-up', 'damaged: it was cut off or overwritten'],
    [
      'a state without its decision',
      JSON.stringify({ version: 2, ...entry, state: { status: 'stopping', since: 1 } }),
      'not what a guard writes: state.decision is missing or wrong',
    ],
    ['no version', JSON.stringify(entry), 'not what a guard writes'],
    ['nothing', '', 'empty'],
  ])('refuses a file that contains %s, in words', async (_what, text, words) => {
    const path = join(folder, 'journal.json');
    await writeFile(path, text);
    await expect(new Journal(folder).load()).rejects.toThrow(`${path}: ${words}`);
  });

  it('saves after a save has failed', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const journal = new Journal(join(folder, 'blocked'));
    await expect(journal.save(entry)).rejects.toThrow();
    await rm(join(folder, 'blocked'));
    await journal.save(entry);
    expect(await journal.load()).toMatchObject({ epoch: 2 });
  });
});
