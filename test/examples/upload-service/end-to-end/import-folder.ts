import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for imports with everything in it that can be wrong with a path. */
export interface ImportFolder {
  /** For `IMPORT_DIRECTORY`. */
  readonly path: string;
  /** What is in `letter.txt`. */
  readonly letter: string;
  remove(): Promise<void>;
}

/**
 * `letter.txt` is sound, `secret.txt` may not be read, `large.bin` is a byte larger than `maxFileBytes`, `folder` is
 * one, and `link.txt` leads to `../outside.txt`.
 */
export async function makeImportFolder(maxFileBytes: number): Promise<ImportFolder> {
  const parent = await mkdtemp(join(tmpdir(), 'uploads-imports-'));
  await chmod(parent, 0o755);
  const path = join(parent, 'imports');
  const letter = 'hello';
  await mkdir(join(path, 'folder'), { recursive: true });
  await writeFile(join(path, 'letter.txt'), letter);
  await writeFile(join(path, 'secret.txt'), 'mine', { mode: 0o000 });
  await writeFile(join(path, 'large.bin'), Buffer.alloc(maxFileBytes + 1));
  await writeFile(join(parent, 'outside.txt'), 'not for you');
  await symlink(join(parent, 'outside.txt'), join(path, 'link.txt'));
  return { path, letter, remove: () => rm(parent, { recursive: true }) };
}

/** Root may read everything: what permissions forbid shows only to other users. */
export async function withoutPrivileges<T>(run: () => Promise<T>): Promise<T> {
  const { geteuid, seteuid } = process;
  if (geteuid?.() !== 0 || seteuid === undefined) return run();
  seteuid(65_534);
  try {
    return await run();
  } finally {
    seteuid(0);
  }
}
