import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readIfPresent, VersionedFile } from '../../src/support/files.js';

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

describe('readIfPresent', () => {
  it('distinguishes an unreadable file from a missing one', async () => {
    expect(await readIfPresent(join(folder, 'none'))).toBeUndefined();
    await mkdir(join(folder, 'folder'));
    await expect(readIfPresent(join(folder, 'folder'))).rejects.toThrow('EISDIR');
  });
});
