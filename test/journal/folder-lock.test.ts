import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endedOwners, FolderLock, FolderLostError } from '../../src/journal/folder-lock.js';
import { GuardFolders } from '../../src/journal/guard-folder.js';
import { standingOf, thisProcess } from '../../src/journal/process-identity.js';
import { eventually } from '../helpers/eventually.js';

const SUBJECT = { flagKey: 'async-upload', project: 'default', environment: 'production' };
const isLinux = process.platform === 'linux';

let folder: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
});

afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await rm(folder, { recursive: true, force: true });
});

const take = (subject = SUBJECT, ended: ReadonlySet<string> = new Set()) =>
  FolderLock.take(folder, subject, ended, 0o600);

/** A lock as another process left it. */
async function left(owner: object, generation = 1): Promise<string> {
  const path = join(folder, `guard.${String(generation).padStart(6, '0')}.lock`);
  const lock = { ...SUBJECT, id: 'other', ...thisProcess, released: false, ...owner };
  await writeFile(path, JSON.stringify(lock));
  return path;
}

async function runningPid(): Promise<number> {
  child = spawn('sleep', ['600']);
  await once(child, 'spawn');
  return child.pid!;
}

describe('FolderLock', () => {
  it('lets one of many win', async () => {
    const taken = await Promise.all(Array.from({ length: 20 }, () => take()));
    expect(taken.filter((one) => one instanceof FolderLock)).toHaveLength(1);
  });

  it('lets one of many win a lock that was left', async () => {
    await left({ pid: 2 ** 22 + 1 }, 7);
    const taken = await Promise.all(Array.from({ length: 20 }, () => take()));
    expect(taken.filter((one) => one instanceof FolderLock)).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['guard.000008.lock']);
  });

  it('is free for the same flag after its release, and never for another', async () => {
    const first = (await take()) as FolderLock;
    await first.release();
    const others = [{ flagKey: 'other' }, { project: 'other' }, { environment: 'other' }];
    for (const other of others) {
      expect(await take({ ...SUBJECT, ...other })).toMatchObject({
        reason: 'it belongs to the flag async-upload (project default, environment production)',
      });
    }
    expect(await take()).toBeInstanceOf(FolderLock);
  });

  it('is taken over from a process that has ended', async () => {
    const pid = await runningPid();
    child!.kill('SIGKILL');
    await once(child!, 'exit');
    await left({ pid });
    expect(await take()).toBeInstanceOf(FolderLock);
  });

  it.runIf(isLinux)('is taken over when its process id is used by another process now', async () => {
    await left({ pid: await runningPid(), startedAt: '1' });
    expect(await take()).toBeInstanceOf(FolderLock);
  });

  it.runIf(isLinux)('is taken over when its process has ended and its parent has not noticed', async () => {
    // The shell does not wait for its child, which stays a zombie.
    child = spawn('sh', ['-c', 'sh -c "exit 0" & echo $!; exec sleep 600']);
    const [text] = await once(child.stdout!, 'data');
    const pid = Number(String(text));
    await eventually(async () => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      await left({ pid });
      expect(await take()).toBeInstanceOf(FolderLock);
    });
  });

  it('is not taken over from a process that runs, whatever the clocks and however long it does not run', async () => {
    const pid = await runningPid();
    child!.kill('SIGSTOP');
    const { startedAt } = await identityOf(pid);
    const path = await left({ pid, startedAt });
    await utimes(path, 0, 0);
    expect(standingOf({ ...thisProcess, pid, startedAt })).toBe(isLinux ? 'runs' : 'unknown');
    expect(await take()).toMatchObject({ reason: `the process ${pid} uses it` });
  });

  it.each([
    ['in the past', -3_600],
    ['in the future, as after a clock was set back', 3_600],
  ])(
    'is taken over from another container that does not touch it, last touched %s',
    async (_what, seconds) => {
      const path = await left({ machine: 'another container', pid: 1 });
      const touched = Date.now() / 1000 + seconds;
      await utimes(path, touched, touched);
      expect(await take()).toMatchObject({ isUncertain: true });
      const ended = await endedOwners([folder], { staleMs: 400 });
      expect(await take(SUBJECT, ended)).toBeInstanceOf(FolderLock);
    },
  );

  it('is not taken over from another container that touches it', async () => {
    const path = await left({ machine: 'another container', pid: 1 });
    let seconds = 0;
    const touching = setInterval(() => utimes(path, ++seconds, seconds), 20);
    const ended = await endedOwners([folder], { staleMs: 5_000 });
    clearInterval(touching);
    expect(ended.size).toBe(0);
  });

  it('is taken over when it was touched between, only after it is observed again', async () => {
    const path = await left({ machine: 'another container', pid: 1 });
    const ended = await endedOwners([folder], { staleMs: 100 });
    await utimes(path, 1, 1);
    expect(await take(SUBJECT, ended)).toMatchObject({ isUncertain: true });
  });

  it.each(['', '{"half', 'x'.repeat(100_000)])('is uncertain when it contains %.10j', async (text) => {
    await writeFile(join(folder, 'guard.000003.lock'), text);
    expect(await take()).toMatchObject({ isUncertain: true });
    expect(await take(SUBJECT, await endedOwners([folder], { staleMs: 100 }))).toBeInstanceOf(FolderLock);
  });

  it('is lost to an owner that was frozen while another took over', async () => {
    const frozen = (await take()) as FolderLock;
    await left({ id: 'later' }, 3);
    await expect(frozen.verify()).rejects.toBeInstanceOf(FolderLostError);
    await expect(frozen.beat()).rejects.toBeInstanceOf(FolderLostError);
    await expect(frozen.release()).rejects.toBeInstanceOf(FolderLostError);
    expect(await readdir(folder)).toContain('guard.000003.lock');
  });

  it('is lost to whoever took over between two beats', async () => {
    const lock = (await take()) as FolderLock;
    await lock.beat();
    await left({ id: 'later' }, 3);
    await rm(join(folder, 'guard.000001.lock'));
    await expect(lock.beat()).rejects.toBeInstanceOf(FolderLostError);
  });

  it('is made again with its folder, when both were removed', async () => {
    const lock = (await take()) as FolderLock;
    expect(await lock.beat()).toBe(false);
    await rm(folder, { recursive: true });
    expect(await lock.beat()).toBe(true);
    expect(await take()).toMatchObject({ reason: `the process ${process.pid} uses it` });
  });
});

describe('a folder that was removed', () => {
  it('belongs to whoever made it again first', async () => {
    const lock = (await take()) as FolderLock;
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await left({ id: 'of a process that started then' });
    await expect(lock.beat()).rejects.toBeInstanceOf(FolderLostError);
    await lock.release();
    expect(await readFile(join(folder, 'guard.000001.lock'), 'utf8')).toContain(
      'of a process that started then',
    );
  });
});

describe('GuardFolders', () => {
  const folders = (subject = SUBJECT) => new GuardFolders(folder, subject, 0o600);

  it('gives every further guard a folder of its own, and each the same after a restart', async () => {
    const first = await folders().take();
    const second = await folders().take();
    const other = await folders({ ...SUBJECT, flagKey: 'other' }).take();
    const paths = [folder, join(folder, 'guard-2'), join(folder, 'guard-3')];
    expect([first.path, second.path, other.path]).toEqual(paths);
    expect([first.reason, second.reason]).toEqual([
      undefined,
      `${folder} is not free: the process ${process.pid} uses it.`,
    ]);
    await Promise.all([first, second, other].map((one) => one.close()));
    expect((await folders({ ...SUBJECT, flagKey: 'other' }).take()).path).toBe(paths[2]);
    expect((await folders().take()).path).toBe(paths[0]);
    expect((await folders().take()).path).toBe(paths[1]);
  });

  it('removes what earlier owners left: their locks, and drafts', async () => {
    await left({ released: true }, 2);
    await writeFile(join(folder, `journal.json.${'0'.repeat(12)}.tmp`), '{"half');
    await writeFile(join(folder, 'notes.tmp'), '');
    await folders().take();
    expect((await readdir(folder)).sort()).toEqual(['guard.000003.lock', 'notes.tmp']);
  });

  it('asks once for several files that are written at once', async () => {
    const opened = await folders().take();
    const first = opened.permit();
    expect(opened.permit()).toBe(first);
    await first;
    expect(opened.permit()).not.toBe(first);
  });

  it('leaves a folder with the journal of another flag alone, although it has no lock', async () => {
    await writeFile(join(folder, 'journal.json'), '{"version":1,"flagKey":"other"}');
    expect(await folders().take()).toMatchObject({
      path: join(folder, 'guard-2'),
      reason: expect.stringContaining('it belongs to the flag other'),
    });
  });

  it('locks a folder that cannot be written as soon as it can be', async () => {
    const blocked = join(folder, 'file');
    await writeFile(blocked, '');
    const opened = await new GuardFolders(blocked, SUBJECT, 0o600).take();
    await expect(opened.permit()).rejects.toThrow();
    await rm(blocked);
    await opened.permit();
    expect(await new GuardFolders(blocked, SUBJECT, 0o600).take()).toMatchObject({
      path: join(blocked, 'guard-2'),
    });
  });
});

async function identityOf(pid: number): Promise<{ startedAt?: string }> {
  if (!isLinux) return {};
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return { startedAt: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]! };
}
