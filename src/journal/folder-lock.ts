import { randomUUID } from 'node:crypto';
import { open, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { codeOf, isDraft, makeFolder, openIfPresent, replaceFile, unlessMissing } from '../support/files.js';
import { parseJson } from '../support/json.js';
import { standingOf, thisProcess } from './process-identity.js';

/** What a guard protects. A folder belongs to one of them for good. */
export interface GuardSubject {
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
}

/** How often a lock is touched, so that processes that cannot see its owner see that it runs. */
export const BEAT_MS = 1_000;
/** A lock that is not touched for so long has no owner any more. Measured by one process, with its own monotonic clock. */
const STALE_MS = 5_000;
const CHECK_MS = 200;
/** So often an owner reads its lock, and does not only touch it: a process may have a thousand. Less than {@link STALE_MS}. */
const EXAMINE_MS = 4_000;
/** Far above the length of a lock. */
const MAX_LOCK_BYTES = 10_000;

const lockSchema = z.lazy(() =>
  z.object({
    flagKey: z.string(),
    project: z.string(),
    environment: z.string(),
    /** The lock's own; a process may have several. */
    id: z.string(),
    pid: z.int(),
    machine: z.string(),
    startedAt: z.string().optional(),
    /** The guard was closed: the folder is free for another of the same subject. */
    released: z.boolean(),
  }),
);

interface Lock extends z.infer<typeof lockSchema> {}

interface FoundLock {
  readonly generation: number;
  readonly path: string;
  /** Undefined when it cannot be read: half written, or damaged. */
  readonly lock: Lock | undefined;
  /** Changes when the lock is touched. */
  readonly touched: string;
}

/** Another process has the folder. */
export class FolderLostError extends Error {
  override readonly name = 'FolderLostError';
}

/** Why a folder could not be locked. */
export interface LockRefusal {
  /** The owner cannot be seen from here: {@link endedOwners} finds out whether it still runs. */
  readonly isUncertain: boolean;
  /** In words, for a sentence that begins with the folder's name. */
  readonly reason: string;
}

/** The locks of this process, which are certainly in use. */
const held = new Set<string>();

/**
 * One guard's right to write in a folder: a file `guard.000001.lock`. Whoever takes over makes the next number, exclusively, so
 * that one of several wins, and an owner that was frozen meanwhile sees a higher number than its own.
 */
export class FolderLock {
  readonly #folder: string;
  readonly #generation: number;
  readonly #lock: Lock;
  readonly #mode: number;
  /** When the lock was last read, by the monotonic clock. */
  #examinedAt = Number.NEGATIVE_INFINITY;

  private constructor(folder: string, generation: number, lock: Lock, mode: number) {
    this.#folder = folder;
    this.#generation = generation;
    this.#lock = lock;
    this.#mode = mode;
  }

  /**
   * Locks a folder, which is created if it does not exist. Waits for nothing.
   *
   * @param ended - Locks whose owners are known to have ended, from {@link endedOwners}.
   * @throws when the folder cannot be written.
   */
  static async take(
    folder: string,
    subject: GuardSubject,
    ended: ReadonlySet<string>,
    mode: number,
  ): Promise<FolderLock | LockRefusal> {
    await makeFolder(folder, mode);
    for (;;) {
      const found = await latestLock(folder);
      const refusal = found && refusalOf(found, subject, ended);
      if (refusal !== undefined) return refusal;
      const generation = (found?.generation ?? 0) + 1;
      const { flagKey, project, environment } = subject;
      const lock = { flagKey, project, environment, id: randomUUID(), ...thisProcess, released: false };
      const taken = new FolderLock(folder, generation, lock, mode);
      if (!(await taken.#make())) continue;
      const names = await namesIn(folder);
      // Whoever was slow here may have made a number that others had used and removed meanwhile.
      if (latestOf(names) > generation) {
        await rm(taken.#path, { force: true });
        continue;
      }
      held.add(lock.id);
      await removeLeft(folder, names, generation);
      return taken;
    }
  }

  /**
   * Touches the lock; makes it again where it was removed, with its folder.
   *
   * @returns whether it had been removed.
   * @throws {@link FolderLostError} when another process has the folder.
   */
  async beat(): Promise<boolean> {
    // Whoever takes over removes the lock, or was the first to make it again, with the same number, where the folder was removed.
    const isDue = performance.now() - this.#examinedAt >= EXAMINE_MS;
    if (!isDue && (await this.#touch())) return false;
    const found = await latestLock(this.#folder);
    const isOurs = found?.generation === this.#generation && found.lock?.id === this.#lock.id;
    if (found !== undefined && !isOurs) throw this.#lost();
    this.#examinedAt = performance.now();
    if (found !== undefined && (await this.#touch())) return false;
    await makeFolder(this.#folder, this.#mode);
    if (!(await this.#make())) throw this.#lost();
    return true;
  }

  /** @throws {@link FolderLostError} when another process has the folder. */
  async verify(): Promise<void> {
    if (await this.#isSuperseded()) throw this.#lost();
  }

  /** Frees the folder for the next guard of the same subject. */
  async release(): Promise<void> {
    held.delete(this.#lock.id);
    const found = await latestLock(this.#folder);
    if (found !== undefined && found.generation > this.#generation) throw this.#lost();
    if (found?.lock?.id !== this.#lock.id) return;
    // After a power cut, this process has ended anyway.
    const options = { mode: this.#mode, isDurable: false };
    await replaceFile(this.#path, textOf({ ...this.#lock, released: true }), options);
  }

  get #path(): string {
    return lockPath(this.#folder, this.#generation);
  }

  /** @returns whether the file exists. */
  async #touch(): Promise<boolean> {
    const now = new Date();
    return (await unlessMissing(utimes(this.#path, now, now).then(() => true))) ?? false;
  }

  async #isSuperseded(): Promise<boolean> {
    return latestOf(await namesIn(this.#folder)) > this.#generation;
  }

  /** @returns whether the file did not exist. */
  async #make(): Promise<boolean> {
    try {
      const handle = await open(this.#path, 'wx', this.#mode);
      try {
        await handle.writeFile(textOf(this.#lock));
      } catch (error) {
        // Empty, it would be in the way for some seconds.
        await rm(this.#path, { force: true }).catch(() => {});
        throw error;
      } finally {
        await handle.close();
      }
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  }

  #lost(): FolderLostError {
    return new FolderLostError(
      `Another process took over ${this.#folder} while this one did not run; this one writes nothing there any more.`,
    );
  }
}

/** Whom a folder belongs to, used or not; undefined when it was never locked. */
export async function subjectOfLock(folder: string): Promise<GuardSubject | undefined> {
  return (await latestLock(folder))?.lock;
}

/** Whom a folder belongs to whose guard runs, or may run: on another machine it cannot be seen; undefined otherwise. */
export async function runningSubject(folder: string): Promise<GuardSubject | undefined> {
  const found = await latestLock(folder);
  return found === undefined || standingOfLock(found) === 'ended' ? undefined : found.lock;
}

/**
 * The locks of these folders whose owners have ended. An owner that cannot be seen from here, in another container or on another
 * machine, is given some seconds to touch its lock; several are observed at the same time.
 */
export async function endedOwners(
  folders: readonly string[],
  { keepsProcessAlive = true, staleMs = STALE_MS } = {},
): Promise<Set<string>> {
  const ended = await Promise.all(
    folders.map(async (folder) => {
      const found = await latestLock(folder).catch(() => undefined);
      return found !== undefined && (await hasEnded(folder, found, staleMs, keepsProcessAlive))
        ? found.path + found.touched
        : undefined;
    }),
  );
  return new Set(ended.filter((key) => key !== undefined));
}

async function hasEnded(folder: string, found: FoundLock, staleMs: number, ref: boolean): Promise<boolean> {
  const standing = standingOfLock(found);
  if (standing !== 'unknown') return standing === 'ended';
  for (const since = performance.now(); performance.now() - since < staleMs; ) {
    await sleep(CHECK_MS, undefined, { ref });
    const now = await latestLock(folder).catch(() => found);
    if (now?.path !== found.path || now.touched !== found.touched) return false;
  }
  return true;
}

function standingOfLock({ lock }: FoundLock): 'runs' | 'ended' | 'unknown' {
  if (lock === undefined) return 'unknown';
  if (lock.released) return 'ended';
  if (held.has(lock.id)) return 'runs';
  const { pid, machine, startedAt } = lock;
  const standing = standingOf({ pid, machine, startedAt });
  // A worker thread of this process, which may have ended alone.
  return standing === 'runs' && pid === process.pid ? 'unknown' : standing;
}

function refusalOf(
  found: FoundLock,
  subject: GuardSubject,
  ended: ReadonlySet<string>,
): LockRefusal | undefined {
  const { lock } = found;
  if (lock !== undefined && !isSameSubject(lock, subject)) {
    return { isUncertain: false, reason: `it belongs to ${nameOf(lock)}` };
  }
  const standing = standingOfLock(found);
  if (standing === 'ended' || ended.has(found.path + found.touched)) return undefined;
  const user = lock === undefined ? 'another process' : `the process ${lock.pid}`;
  return { isUncertain: standing === 'unknown', reason: `${user} uses it` };
}

/** Whether a folder of the one is a folder of the other. */
export function isSameSubject(one: GuardSubject, other: GuardSubject): boolean {
  return (
    one.flagKey === other.flagKey && one.project === other.project && one.environment === other.environment
  );
}

/** `the flag a (project default, environment production)` */
export function nameOf({ flagKey, project, environment }: GuardSubject): string {
  return `the flag ${flagKey} (project ${project}, environment ${environment})`;
}

async function latestLock(folder: string): Promise<FoundLock | undefined> {
  const generation = latestOf(await namesIn(folder));
  if (generation === 0) return undefined;
  const path = lockPath(folder, generation);
  // Opened anew each time: a network file system asks its server then.
  const handle = await openIfPresent(path);
  if (handle === undefined) return latestLock(folder);
  try {
    const { mtimeMs, size } = await handle.stat();
    const buffer = Buffer.alloc(size > MAX_LOCK_BYTES ? 0 : size);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    const text = buffer.toString('utf8', 0, bytesRead);
    const parsed = lockSchema.safeParse(parseJson(text));
    return { generation, path, lock: parsed.data, touched: `${mtimeMs} ${text}` };
  } finally {
    await handle.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await unlessMissing(readdir(folder))) ?? [];
}

/** The number of a lock; 0 for every other file. */
function generationOf(name: string): number {
  return Number(/^guard\.(\d{6,15})\.lock$/.exec(name)?.[1] ?? 0);
}

function latestOf(names: readonly string[]): number {
  return names.reduce((latest, name) => Math.max(latest, generationOf(name)), 0);
}

/** Removes what earlier owners left: their locks, and what a crash left of files that were being replaced. */
async function removeLeft(folder: string, names: readonly string[], generation: number): Promise<void> {
  for (const name of names) {
    const isOlder = generationOf(name) > 0 && generationOf(name) < generation;
    if (isOlder || isDraft(name)) await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

function lockPath(folder: string, generation: number): string {
  return join(folder, `guard.${String(generation).padStart(6, '0')}.lock`);
}

function textOf(lock: Lock): string {
  return `${JSON.stringify(lock)}\n`;
}
