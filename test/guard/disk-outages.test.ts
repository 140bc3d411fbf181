import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotifyError, type NotifyFunction } from '../../src/notify/notifier.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;
let disk: string;

beforeEach(async () => {
  harness = await GuardHarness.create();
  disk = await mkdtemp(join(tmpdir(), 'disk-'));
});

afterEach(async () => {
  await harness.close();
  await rm(disk, { recursive: true, force: true });
});

const faultsOf = (what: string) => harness.reported('fault').filter((fault) => fault.what === what);

/** Whether this process may mount; a container's root often may not. */
function mounts(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const probe = mkdtempSync(join(tmpdir(), 'mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', ['-l', probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(probe);
  }
}

describe.skipIf(!mounts())('a guard whose disk (a tmpfs, which needs root)', () => {
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', disk]);
  });

  afterEach(() => {
    execFileSync('umount', ['-l', disk]);
  });

  const remount = (how: 'ro' | 'rw') => execFileSync('mount', ['-o', `remount,${how}`, disk]);
  const stateOnDisk = async () =>
    JSON.parse(await readFile(join(disk, 'guard', 'journal.json'), 'utf8')).state.status as string;

  it('is read-only says so in words, guards, and writes when the disk can be written', async () => {
    remount('ro');
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const guard = await harness.started({ folder: join(disk, 'guard') });
    await harness.fail(guard);
    await harness.until('pending', () => harness.reported('action-required').length === 1);
    expect(faultsOf('keeping the folder')[0]?.message).toBe(
      `${join(disk, 'guard')} is read-only: its file system is mounted so (EROFS).`,
    );
    remount('rw');
    await harness.until('works again', () =>
      harness.reported('recovered').some(({ what }) => what === 'writing the journal'),
    );
    expect(await stateOnDisk()).toBe('stopping');
  });

  it('becomes read-only keeps a pending stop of an earlier run in force', async () => {
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const first = await harness.started({ folder: join(disk, 'guard') });
    await harness.fail(first);
    await harness.until('pending', () => harness.reported('action-required').length === 1);
    await first.close();
    remount('ro');
    const second = await harness.started({ folder: join(disk, 'guard') });
    expect(second.state.status).toBe('stopping');
    expect(harness.flags.isOverridden()).toBe(true);
    remount('rw');
  });

  it('is full at the moment of a stop has it as soon as there is space; each outage is reported', async () => {
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const guard = await harness.started({ folder: join(disk, 'guard'), log: false });
    await harness.until('armed on disk', () => harness.reported('rollout-changed').length === 1);
    const ballast = join(disk, 'ballast');
    const fill = () => writeFile(ballast, Buffer.alloc(1_000_000)).catch(() => {});
    await fill();
    await harness.fail(guard);
    await harness.until('reported', () => faultsOf('writing the journal').length === 1);
    expect(faultsOf('writing the journal')[0]?.message).toContain('the disk is full (ENOSPC)');
    await rm(ballast);
    await harness.until('recovered', () =>
      harness.reported('recovered').some(({ what }) => what === 'writing the journal'),
    );
    expect(await stateOnDisk()).toBe('stopping');
    await fill();
    harness.flags.change({ rolloutPercentage: 50 });
    await harness.until('reported again', () => faultsOf('writing the journal').length === 2);
    await rm(ballast);
  });
});

describe('a notifier', () => {
  it('that fails, works and fails again is reported twice', async () => {
    const notified: string[] = [];
    const pager: NotifyFunction = ({ type }) => {
      notified.push(type);
      if (type !== 'stopped') throw new NotifyError('down', { retryable: false });
    };
    const guard = await harness.started({ notify: [pager] });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    harness.flags.change({ enabled: false });
    harness.flags.change({ enabled: true });
    await harness.until('notified', () => notified.includes('re-armed'));
    await harness.until('reported', () => faultsOf('the notifier pager').length === 2);
  });
});
