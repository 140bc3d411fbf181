import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { observeFolder } from '../../src/doctor/observe.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollout-doctor-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('observeFolder', () => {
  it('leaves no file in a folder that can be written', async () => {
    expect(await observeFolder(folder)).toMatchObject({
      path: folder,
      exists: true,
      problem: undefined,
      isForeign: false,
      isOpen: false,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('sees who may write in a folder, and how much', async () => {
    await chmod(folder, 0o777);
    const { isOpen, freeBytes } = await observeFolder(folder);
    expect({ isOpen, freeBytes }).toEqual({ isOpen: true, freeBytes: expect.any(Number) });
  });

  it('creates nothing when the folder does not exist', async () => {
    const path = join(folder, 'logs', 'async_upload_rollout');
    expect(await observeFolder(path)).toMatchObject({
      path,
      exists: false,
      problem: undefined,
      isForeign: false,
      isOpen: false,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(['in-the-way', 'in-the-way/logs'])('reports a file in the place of %s', async (name) => {
    await writeFile(join(folder, 'in-the-way'), '');
    expect((await observeFolder(join(folder, name))).problem).toBe('ENOTDIR');
  });

  // The administrator may write everywhere.
  it.skipIf(process.getuid?.() === 0)('sees that a folder is read-only', async () => {
    const path = join(folder, 'read-only');
    await mkdir(path);
    await chmod(path, 0o500);
    expect(await observeFolder(path)).toEqual({ path, exists: true, problem: 'EACCES' });
    expect((await observeFolder(join(path, 'logs'))).problem).toBe('EACCES');
  });
});
