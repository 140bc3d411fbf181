import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { foldersIn } from '../../journal/guard-folder.js';
import { Journal } from '../../journal/journal.js';
import { VIEW_FILE, ViewFile } from '../../journal/view-file.js';
import { unlessMissing } from '../../support/files.js';
import { FolderSource } from './folder-source.js';

/** Folders within one that are searched for guards: a process may have a thousand, beside others. */
const MAX_FOLDERS = 5_000;

/** A folder in which a guard writes, and for which flag. */
interface GuardedFolder {
  readonly folder: string;
  readonly flagKey: string;
  readonly place: string;
}

/** Finds the guards of folders, again and again: they may be started later. */
export class FolderFinder {
  readonly #given: readonly string[];
  #sources: readonly FolderSource[] = [];

  /** @param given - Guards' folders, or folders with such folders in them. */
  constructor(given: readonly string[]) {
    this.#given = given.map((folder) => resolve(folder));
  }

  /** Those that were found last. A source stays the same while its folders do. */
  get sources(): readonly FolderSource[] {
    return this.#sources;
  }

  /**
   * Searches once more.
   *
   * @throws when one flag is guarded in several projects or environments: each needs a dashboard of its own.
   */
  async search(): Promise<void> {
    const found = (await Promise.all(this.#given.map(guardedFolders))).flat();
    const byFlag = new Map<string, GuardedFolder[]>();
    for (const each of found) {
      const known = byFlag.get(each.flagKey) ?? [];
      if (known.some(({ folder }) => folder === each.folder)) continue;
      byFlag.set(each.flagKey, [...known, each]);
    }
    const sources: FolderSource[] = [];
    for (const [flagKey, folders] of byFlag) {
      const places = [...new Set(folders.map(({ place }) => place))];
      if (places.length > 1) {
        throw new Error(
          `The flag ${flagKey} is guarded in ${places.join(' and in ')}: give the folders of one of them.`,
        );
      }
      const paths = folders.map(({ folder }) => folder);
      const known = this.#sources.find((source) => source.flagKey === flagKey);
      const isSame = known !== undefined && known.folders.join('\0') === paths.join('\0');
      sources.push(isSame ? known : new FolderSource(flagKey, paths));
    }
    this.#sources = sources.sort((a, b) => a.flagKey.localeCompare(b.flagKey));
  }
}

async function guardedFolders(given: string): Promise<GuardedFolder[]> {
  const own = await withGuards(await foldersIn(given));
  if (own.length > 0) return own;
  const entries = (await unlessMissing(readdir(given, { withFileTypes: true }))) ?? [];
  const within = entries.filter((entry) => entry.isDirectory()).slice(0, MAX_FOLDERS);
  const found = await Promise.all(
    within.map(async ({ name }) => withGuards(await foldersIn(join(given, name)))),
  );
  return found.flat();
}

async function withGuards(folders: readonly string[]): Promise<GuardedFolder[]> {
  return (await Promise.all(folders.map(guardOf))).flat();
}

/** A view that cannot be read is one of another version: the journal says whose it is. */
async function guardOf(folder: string): Promise<GuardedFolder[]> {
  if ((await unlessMissing(stat(join(folder, VIEW_FILE))).catch(() => undefined)) === undefined) return [];
  const view =
    (await new ViewFile(folder).load().catch(() => undefined)) ??
    (await new Journal(folder).load().catch(() => undefined));
  if (view === undefined) return [];
  const { flagKey, project = 'default', environment = 'unknown' } = view;
  return [{ folder, flagKey, place: `project ${project}, environment ${environment}` }];
}
