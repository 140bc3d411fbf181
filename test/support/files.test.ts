import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeptFile, readIfPresent } from '../../src/support/files.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('KeptFile', () => {
  it('is undefined before the first save, and creates its folder', async () => {
    const file = new KeptFile(join(folder, 'a', 'b', 'kept.json'));
    expect(await file.load()).toBeUndefined();
    await file.save('one');
    expect(await file.load()).toBe('one');
  });

  it('writes saves in their order, and leaves no draft', async () => {
    const file = new KeptFile(join(folder, 'kept.json'));
    for (const text of ['1', '2', '3']) void file.save(text);
    await file.settled();
    expect(await file.load()).toBe('3');
    expect(await readdir(folder)).toEqual(['kept.json']);
  });

  it('saves after a save that failed', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const file = new KeptFile(join(folder, 'blocked', 'kept.json'));
    await expect(file.save('lost')).rejects.toThrow();
    await rm(join(folder, 'blocked'));
    await file.save('kept');
    expect(await file.load()).toBe('kept');
  });
});

describe('readIfPresent', () => {
  it('distinguishes an unreadable file from a missing one', async () => {
    expect(await readIfPresent(join(folder, 'none'))).toBeUndefined();
    await mkdir(join(folder, 'folder'));
    await expect(readIfPresent(join(folder, 'folder'))).rejects.toThrow('EISDIR');
  });
});
