import { execFileSync } from 'node:child_process';
import { watch } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  isDraft,
  readIfPresent,
  replaceFile,
  UnusableFileError,
  VersionedFile,
} from '../../src/support/files.js';
import { eventually } from '../helpers/eventually.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function keptFile(...path: string[]) {
  return new VersionedFile(join(folder, ...path, 'kept.json'), 3, z.object({ text: z.string() }));
}

describe('VersionedFile', () => {
  it('is undefined before the first save, and creates its folder', async () => {
    const file = keptFile('a', 'b');
    expect(await file.load()).toBeUndefined();
    await file.save({ text: 'one' });
    expect(await file.load()).toEqual({ text: 'one' });
  });

  it('writes saves in their order, and leaves no draft', async () => {
    const file = keptFile();
    await Promise.all(['1', '2', '3'].map((text) => file.save({ text })));
    expect(await file.load()).toEqual({ text: '3' });
    expect(await readdir(folder)).toEqual(['kept.json']);
  });

  it('writes only the latest of those that wait', async () => {
    let writes = 0;
    const permit = async () => void writes++;
    const file = new VersionedFile(join(folder, 'kept.json'), 3, z.object({ text: z.string() }), { permit });
    const first = file.save({ text: 'first' });
    await Promise.resolve();
    await Promise.all([first, ...['1', '2', '3'].map((text) => file.save({ text }))]);
    expect(await file.load()).toEqual({ text: '3' });
    expect(writes).toBe(2);
  });

  it('saves after a save that failed', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const file = keptFile('blocked');
    await expect(file.save({ text: 'lost' })).rejects.toThrow();
    await rm(join(folder, 'blocked'));
    await file.save({ text: 'kept' });
    expect(await file.load()).toEqual({ text: 'kept' });
  });

  it.each(['{"version":2,"text":"one"}', '{"version":3}', 'null', '{"ver'])('refuses %s', async (text) => {
    await writeFile(join(folder, 'kept.json'), text);
    await expect(keptFile().load()).rejects.toThrow();
  });
});

describe('replaceFile', () => {
  it.runIf(process.platform !== 'win32')(
    'writes through no link, and gives the file to its owner',
    async () => {
      const other = join(folder, 'other');
      await writeFile(other, 'of another');
      await symlink(other, join(folder, 'kept.json'));
      await replaceFile(join(folder, 'kept.json'), 'ours');
      expect(await readFile(other, 'utf8')).toBe('of another');
      const { mode } = await lstat(join(folder, 'kept.json'));
      expect(mode & 0o170777).toBe(0o100600);
    },
  );

  it('writes nothing where it may not', async () => {
    const permit = () => Promise.reject(new Error('lost'));
    await expect(replaceFile(join(folder, 'a', 'kept.json'), 'ours', { permit })).rejects.toThrow('lost');
    expect(await readdir(folder)).toEqual([]);
  });

  it('has a draft of a name that cannot be guessed', async () => {
    const path = join(folder, 'kept.json');
    const names = new Set<string>();
    const watcher = watch(folder, (_, name) => name?.endsWith('.tmp') && names.add(name));
    await replaceFile(path, 'one');
    await replaceFile(path, 'two');
    await eventually(() => expect(names.size).toBe(2));
    watcher.close();
    expect([...names].every(isDraft)).toBe(true);
  });
});

describe('a file that cannot be used', () => {
  it('is set aside under a free name before the next save, whatever it contains', async () => {
    for (const text of ['{"ver', '{"version":2,"text":"one"}', '']) {
      await writeFile(join(folder, 'kept.json'), text);
      const file = keptFile();
      await expect(file.load()).rejects.toBeInstanceOf(UnusableFileError);
      await file.save({ text: 'new' });
      await file.save({ text: 'newer' });
    }
    const aside = [1, 2, 3].map((number) => readFile(join(folder, `kept.unreadable-${number}.json`), 'utf8'));
    expect(await Promise.all(aside)).toEqual(['{"ver', '{"version":2,"text":"one"}', '']);
    expect(await readdir(folder)).toHaveLength(4);
  });
});

describe('readIfPresent', () => {
  it('refuses what is larger than it should be, without reading it', async () => {
    const path = join(folder, 'large');
    await writeFile(path, '');
    await truncate(path, 2 ** 32);
    await expect(readIfPresent(path)).rejects.toThrow('larger than any file of a guard (4294967296 bytes)');
  });

  it.runIf(process.platform === 'linux')('refuses a pipe, which would never end', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await expect(readIfPresent(join(folder, 'pipe'))).rejects.toThrow('not a file');
  });

  it('distinguishes an unreadable file from a missing one', async () => {
    expect(await readIfPresent(join(folder, 'none'))).toBeUndefined();
    await mkdir(join(folder, 'folder'));
    await expect(readIfPresent(join(folder, 'folder'))).rejects.toThrow('EISDIR');
  });
});
