import { randomUUID } from 'node:crypto';
import { rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { FolderObservation } from './observations.js';

/**
 * Whether the guard can write to its folder: writes an empty file there and removes it. Where the folder does not exist
 * yet, its nearest existing parent is tried, because only that tells whether it can be made.
 */
export async function observeFolder(path: string): Promise<FolderObservation> {
  const wanted = resolve(path);
  const existing = await nearestExisting(wanted);
  const probe = join(existing, `.rollout-guard-doctor-${randomUUID()}`);
  const exists = existing === wanted;
  try {
    await writeFile(probe, '', { flag: 'wx' });
    await rm(probe);
    return { path, exists, problem: undefined };
  } catch (error) {
    return { path, exists, problem: codeOf(error) };
  }
}

async function nearestExisting(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await stat(folder);
      return folder;
    } catch (error) {
      // A file in the way, or a folder that may not be entered: writing there will say so.
      if (codeOf(error) !== 'ENOENT' || folder === dirname(folder)) return folder;
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
