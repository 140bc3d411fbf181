import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readIfPresent, unlessMissing, type WriteOptions } from '../support/files.js';
import { parseJson } from '../support/json.js';
import {
  endedOwners,
  FolderLock,
  type GuardSubject,
  isSameSubject,
  type LockRefusal,
  nameOf,
  subjectOfLock,
} from './folder-lock.js';
import { JOURNAL_FILE, Journal, type JournalEntry } from './journal.js';

/** More guards than that in one folder are a mistake. */
const MAX_FOLDERS = 256;

const ownerSchema = z.lazy(() =>
  z.object({
    flagKey: z.string(),
    project: z.string().optional(),
    environment: z.string().optional(),
  }),
);

/** A stop that a guard decided and Unleash has not confirmed. */
export interface PendingStop {
  readonly folder: string;
  readonly entry: JournalEntry & { readonly state: { readonly status: 'stopping' } };
}

/** The folder that a guard writes in. */
export class OpenFolder implements WriteOptions {
  readonly path: string;
  readonly mode: number;
  /** Why it is not the folder that was wanted. */
  readonly reason: string | undefined;
  readonly #lockIt: () => Promise<FolderLock | LockRefusal>;
  #lock: FolderLock | undefined;
  #permitting: Promise<void> | undefined;

  /** @param lock - Undefined when the folder could not be written; `lockIt` is repeated before each write then. */
  constructor(
    path: string,
    mode: number,
    reason: string | undefined,
    lock: FolderLock | undefined,
    lockIt: () => Promise<FolderLock | LockRefusal>,
  ) {
    this.path = path;
    this.mode = mode;
    this.reason = reason;
    this.#lock = lock;
    this.#lockIt = lockIt;
  }

  get isLocked(): boolean {
    return this.#lock !== undefined;
  }

  /** @throws when the folder cannot be written, or is another guard's. */
  readonly permit = (): Promise<void> => {
    // Several files are often written at once.
    this.#permitting ??= (this.#lock?.verify() ?? this.#relock()).finally(() => {
      this.#permitting = undefined;
    });
    return this.#permitting;
  };

  /** Called once a second. @returns whether the folder or its lock had been removed. @throws as `permit`. */
  async beat(): Promise<boolean> {
    if (!this.isLocked) await this.permit();
    return (await this.#lock?.beat()) ?? false;
  }

  /** Frees the folder for the next guard. */
  async close(): Promise<void> {
    await this.#permitting?.catch(() => {});
    await this.#lock?.release();
  }

  async #relock(): Promise<void> {
    const taken = await this.#lockIt();
    if (!(taken instanceof FolderLock)) throw new Error(`${this.path} is not free: ${taken.reason}.`);
    this.#lock = taken;
  }
}

/**
 * The folder that a guard wants, and those within it, `guard-2`, `guard-3` and so on, of further guards that want the same one: other
 * processes of a cluster, or guards of other flags.
 */
export class GuardFolders {
  readonly #wanted: string;
  readonly #subject: GuardSubject;
  readonly #mode: number;

  constructor(wanted: string, subject: GuardSubject, mode: number) {
    this.#wanted = wanted;
    this.#subject = subject;
    this.#mode = mode;
  }

  /** The stops of this flag that any guard here has not finished, the latest first. Nothing is waited for or changed. */
  async pendingStops(): Promise<PendingStop[]> {
    const stops: PendingStop[] = [];
    for (const folder of await foldersIn(this.#wanted)) {
      const owner = await subjectOfLock(folder).catch(() => undefined);
      if (owner !== undefined && !isSameSubject(owner, this.#subject)) continue;
      // What cannot be read is reported by whoever takes the folder.
      const entry = await new Journal(folder).load().catch(() => undefined);
      if (entry?.state.status !== 'stopping' || !this.#isOurs(entry)) continue;
      stops.push({ folder, entry: entry as PendingStop['entry'] });
    }
    return stops.sort((a, b) => b.entry.state.decision.at - a.entry.state.decision.at);
  }

  /**
   * Takes the folder that is wanted, or the first one within it that is free. Waits some seconds where it cannot see whether the
   * owner of a folder still runs. One that cannot be written now is locked as soon as it can be.
   *
   * @throws when too many other guards have folders within it.
   */
  async take(): Promise<OpenFolder> {
    let ended: ReadonlySet<string> | undefined;
    let reason: string | undefined;
    for (let number = 1; number <= MAX_FOLDERS; number++) {
      const path = number === 1 ? this.#wanted : join(this.#wanted, `guard-${number}`);
      try {
        let taken = await this.#lock(path, ended);
        if (!(taken instanceof FolderLock) && taken.isUncertain && ended === undefined) {
          // All at once, so that many of them do not add up.
          ended = await endedOwners(await foldersIn(this.#wanted));
          taken = await this.#lock(path, ended);
        }
        if (taken instanceof FolderLock) return this.#open(path, reason, taken);
        reason ??= `${this.#wanted} is not free: ${taken.reason}.`;
      } catch {
        return this.#open(path, reason, undefined);
      }
    }
    throw new Error(`${this.#wanted} has ${MAX_FOLDERS} folders of other guards.`);
  }

  /**
   * Sets aside the journals of stops that this guard has in its own now, where their owners have ended, so that no guard finishes
   * them twice.
   */
  async settle(stops: readonly PendingStop[]): Promise<void> {
    const ended = await endedOwners(
      stops.map(({ folder }) => folder),
      { keepsProcessAlive: false },
    );
    for (const { folder, entry } of stops) {
      const lock = await this.#lock(folder, ended);
      if (!(lock instanceof FolderLock)) continue;
      try {
        const journal = new Journal(folder);
        const now = await journal.load().catch(() => undefined);
        if (now?.state.status === 'stopping' && now.state.decision.id === entry.state.decision.id) {
          await rename(journal.path, join(folder, 'journal.taken-over.json'));
        }
      } finally {
        await lock.release();
      }
    }
  }

  #open(path: string, reason: string | undefined, lock: FolderLock | undefined): OpenFolder {
    return new OpenFolder(path, this.#mode, reason, lock, () => this.#lock(path));
  }

  async #lock(path: string, ended: ReadonlySet<string> = new Set()): Promise<FolderLock | LockRefusal> {
    return (await this.#otherOwner(path)) ?? FolderLock.take(path, this.#subject, ended, this.#mode);
  }

  /** A folder without a lock may have a journal of another flag. */
  async #otherOwner(path: string): Promise<LockRefusal | undefined> {
    if ((await subjectOfLock(path)) !== undefined) return undefined;
    const text = await readIfPresent(join(path, JOURNAL_FILE)).catch(() => undefined);
    const { data } = ownerSchema.safeParse(parseJson(text ?? ''));
    if (data === undefined || this.#isOurs(data)) return undefined;
    return { isUncertain: false, reason: `it belongs to ${nameOf(this.#subjectOf(data))}` };
  }

  #isOurs(owner: z.infer<typeof ownerSchema>): boolean {
    return isSameSubject(this.#subjectOf(owner), this.#subject);
  }

  #subjectOf({ flagKey, project, environment }: z.infer<typeof ownerSchema>): GuardSubject {
    return {
      flagKey,
      project: project ?? this.#subject.project,
      environment: environment ?? this.#subject.environment,
    };
  }
}

/** A guard's folder and those within it that exist, in their order; other folders within it are not a guard's. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries =
    (await unlessMissing(readdir(folder, { withFileTypes: true })).catch(() => undefined)) ?? [];
  const numbers = entries.flatMap((entry) => {
    const [, number] = /^guard-(\d{1,3})$/.exec(entry.name) ?? [];
    return number !== undefined && entry.isDirectory() ? [Number(number)] : [];
  });
  return [folder, ...numbers.sort((a, b) => a - b).map((number) => join(folder, `guard-${number}`))];
}
