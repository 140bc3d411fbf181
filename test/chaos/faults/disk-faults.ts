import { execFile } from 'node:child_process';
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Fault, World } from '../fault.js';

const run = promisify(execFile);

/** What a folder or a file that fails must be called in a report. */
const REPORTED = /"fault".*(folder|log|journal|audit|disk|space|write)/i;

const TMPFS_KB = 512;
/** Outcomes are written once a second. */
const LOG_TIMEOUT_MS = 10_000;

export const diskFaults: readonly Fault[] = [
  {
    name: 'the disk is full (a limit of the size of files)',
    area: 'disk',
    isShort: true,
    needs: ['prlimit'],
    inject: ({ processes }) => limitFiles(processes[0]!.pid, '1'),
    heal: ({ processes }) => limitFiles(processes[0]!.pid, 'unlimited'),
    expect: { message: REPORTED },
    verify: isLoggingAgain,
  },
  {
    name: 'the disk is full (a small file system)',
    area: 'disk',
    needsRoot: true,
    needs: ['mount'],
    setup: {
      prepare: async (folder, onEnd) => {
        await run('mount', ['-t', 'tmpfs', '-o', `size=${TMPFS_KB}k`, 'tmpfs', folder]);
        onEnd(() => run('umount', ['-l', folder]));
      },
    },
    inject: async ({ folder }) => {
      // It ends with ENOSPC, as it should.
      await writeFile(join(folder, 'filler'), Buffer.alloc(TMPFS_KB * 1024)).catch(() => {});
    },
    heal: ({ folder }) => rm(join(folder, 'filler'), { force: true }),
    expect: { message: REPORTED },
    verify: isLoggingAgain,
  },
  {
    name: 'the folder and its files are read-only',
    area: 'disk',
    isShort: true,
    needs: ['setpriv'],
    setup: { isUnprivileged: true },
    inject: ({ folder }) => setWritable(folder, false),
    heal: ({ folder }) => setWritable(folder, true),
    expect: { message: /"fault".*(read-only|permission)/i },
    verify: isLoggingAgain,
  },
  {
    name: 'the folder is removed',
    area: 'disk',
    isShort: true,
    inject: ({ folder }) => rm(folder, { recursive: true }),
    verify: isLoggingAgain,
  },
  {
    name: 'the log file is rotated away',
    area: 'disk',
    isShort: true,
    inject: ({ folder }) => rename(join(folder, 'metrics.jsonl'), join(folder, 'moved-away.jsonl')),
    verify: isLoggingAgain,
  },
];

function limitFiles(pid: number, bytes: string): Promise<unknown> {
  return run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`]);
}

async function setWritable(folder: string, isWritable: boolean): Promise<void> {
  for (const name of await readdir(folder)) await chmod(join(folder, name), isWritable ? 0o600 : 0o400);
  await chmod(folder, isWritable ? 0o700 : 0o500);
}

/** An outcome of now arrives in the log. Requests continue meanwhile. */
async function isLoggingAgain({ folder }: World): Promise<string | undefined> {
  const startedAt = Date.now();
  let latest = 'none';
  while (Date.now() - startedAt < LOG_TIMEOUT_MS) {
    const text = await readFile(join(folder, 'metrics.jsonl'), 'utf8').catch(() => '');
    const last = text.trimEnd().split('\n').at(-1)!;
    latest = /"timestamp":"([^"]+)"/.exec(last)?.[1] ?? 'none';
    if (latest !== 'none' && Date.parse(latest) > startedAt) return undefined;
    await sleep(250);
  }
  return `the log's latest outcome is ${latest}, ${LOG_TIMEOUT_MS / 1000} s after ${new Date(startedAt).toISOString()}`;
}
