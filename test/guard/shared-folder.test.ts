import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asyncUploadRollout } from '../../src/guard/options/async-upload-rollout.js';
import { resolveOptions } from '../../src/guard/options/resolve-options.js';
import type { GuardEvent } from '../../src/model/event.js';
import { collectReport } from '../../src/report/collect.js';
import { readRolloutStatuses } from '../../src/report/status/rollout-status.js';
import { eventually } from '../helpers/eventually.js';
import { FakeFlags } from '../helpers/fake-flags.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { compiledFile } from '../helpers/test-run.js';

let folder: string;
let program: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  program = await compiledFile('test/helpers/folder-service.ts');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shared-folder-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

async function until(what: string, condition: () => boolean): Promise<void> {
  await eventually(() => expect(condition(), what).toBe(true));
}

/** A guard in a process of its own. */
class GuardProcess {
  readonly #child: ChildProcess;
  readonly events: GuardEvent[] = [];
  started: { readonly isOverridden: boolean; readonly state: string } | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', ({ event, started }: { event?: GuardEvent; started?: GuardProcess['started'] }) => {
      if (event !== undefined) this.events.push(event);
      if (started !== undefined) this.started = started;
    });
  }

  static async start(settings: { flagKey?: string; isUnleashDown?: boolean } = {}): Promise<GuardProcess> {
    const child = fork(program, {
      env: { ...process.env, SETTINGS: JSON.stringify({ flagKey: 'async-upload', folder, ...settings }) },
    });
    children.push(child);
    const made = new GuardProcess(child);
    await until('started', () => made.started !== undefined);
    return made;
  }

  of<Type extends GuardEvent['type']>(type: Type): (GuardEvent & { type: Type })[] {
    return this.events.filter((event): event is GuardEvent & { type: Type } => event.type === type);
  }

  async breaks(): Promise<void> {
    this.#child.send('fail');
    await until('failed to stop', () => this.of('stop-failed').length > 0);
  }

  async end(how: 'SIGKILL' | 'close'): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (how === 'close') this.#child.send('close');
    else this.#child.kill('SIGKILL');
    await ended;
  }
}

const stateIn = async (path: string) =>
  JSON.parse(await readFile(join(path, 'journal.json'), 'utf8')).state.status;

describe('two processes with one folder', () => {
  it('keep their files apart, say so, and are shown together', async () => {
    const first = await GuardProcess.start({ isUnleashDown: true });
    const second = await GuardProcess.start();
    expect(first.of('folder-changed')).toEqual([]);
    expect(second.of('folder-changed')).toMatchObject([
      {
        folder: join(folder, 'guard-2'),
        reason: expect.stringMatching(/is not free: the process \d+ uses it/),
      },
    ]);
    await first.breaks();
    expect(await stateIn(folder)).toBe('stopping');
    await until('saved', () => existsSync(join(folder, 'guard-2', 'journal.json')));
    expect(await stateIn(join(folder, 'guard-2'))).toBe('armed');
    const statuses = await readRolloutStatuses(folder);
    expect(statuses.map(({ folder, state }) => [folder, state])).toEqual([
      [folder, 'stopping'],
      [join(folder, 'guard-2'), 'armed'],
    ]);
    await Promise.all([first.end('close'), second.end('close')]);
    const report = await collectReport([folder]);
    expect(report.sources).toMatchObject({ guards: 2, eventLinesLeftOut: 0 });
    expect(report.arms.treatment.counted + report.arms.control.counted).toBe(20);
    expect(report.notes.map(({ text }) => text)).toContain(
      'guard-2: The guard has started (epoch 1, armed).',
    );
  });

  it('lose no pending stop in a crash: the next process finishes it', async () => {
    const first = await GuardProcess.start({ isUnleashDown: true });
    const second = await GuardProcess.start({ isUnleashDown: true });
    await first.breaks();
    await Promise.all([first.end('SIGKILL'), second.end('SIGKILL')]);
    const next = await GuardProcess.start();
    expect(next.started).toEqual({ isOverridden: true, state: 'stopping' });
    await until('stopped', () => next.of('stopped').length === 1);
  });

  it('lose no pending stop of a folder that no guard takes after the crash', async () => {
    const first = await GuardProcess.start({ isUnleashDown: true });
    const second = await GuardProcess.start({ isUnleashDown: true });
    await second.breaks();
    await Promise.all([first.end('SIGKILL'), second.end('SIGKILL')]);
    const next = await GuardProcess.start();
    expect(next.started).toEqual({ isOverridden: true, state: 'stopping' });
    expect(next.of('stop-taken-over')).toMatchObject([{ folder: join(folder, 'guard-2') }]);
    await until('stopped', () => next.of('stopped').length === 1);
    // No guard finishes it another time, when an operator has turned the flag on again.
    await until('settled', () => !existsSync(join(folder, 'guard-2', 'journal.json')));
    await next.end('SIGKILL');
    expect((await GuardProcess.start()).of('stop-taken-over')).toEqual([]);
  });
});

describe('two flags with one folder', () => {
  it('do not mix after a crash, whichever starts first', async () => {
    const broken = await GuardProcess.start({ isUnleashDown: true });
    const healthy = await GuardProcess.start({ flagKey: 'healthy' });
    await broken.breaks();
    await Promise.all([broken.end('SIGKILL'), healthy.end('SIGKILL')]);
    const healthyAgain = await GuardProcess.start({ flagKey: 'healthy' });
    expect(healthyAgain.started).toEqual({ isOverridden: false, state: 'armed' });
    const brokenAgain = await GuardProcess.start();
    expect(brokenAgain.started).toEqual({ isOverridden: true, state: 'stopping' });
    await until('stopped', () => brokenAgain.of('stopped').length === 1);
  });

  it('have folders of their own with the preset', () => {
    const flags = new FakeFlags();
    const unleash = { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' };
    const folders = ['flag-a', 'flag-b'].map(
      (flagKey) => resolveOptions({ flagKey, flags, unleash, ...asyncUploadRollout }).folder,
    );
    expect(folders).toEqual(['logs/flag_a_rollout', 'logs/flag_b_rollout']);
  });
});

describe('a guard whose folder', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(() => harness.close());

  it('cannot be written guards all the same', async () => {
    await writeFile(join(folder, 'file'), '');
    const guard = await harness.started({ folder: join(folder, 'file', 'below') });
    expect(harness.reported('fault')[0]).toMatchObject({
      what: 'keeping the folder',
      message: expect.stringContaining('something above it is a file, not a folder (ENOTDIR)'),
    });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
  });

  it('is removed makes it again, with the journal of a pending stop, and says so', async () => {
    harness.unleash.failure = () => Response.json({}, { status: 401 });
    const guard = await harness.started();
    await harness.fail(guard);
    await harness.until('pending', () => harness.reported('action-required').length === 1);
    // The guard may write at the same time.
    await rm(harness.folder, { recursive: true, maxRetries: 10, retryDelay: 20 });
    await harness.until('made again', () => existsSync(join(harness.folder, 'journal.json')));
    expect(await stateIn(harness.folder)).toBe('stopping');
    expect(harness.reported('fault').map(({ what }) => what)).toContain('keeping the journal');
  });

  it('was taken over while it did not run overwrites nothing there', async () => {
    const guard = await harness.started();
    await harness.until('saved', () => existsSync(join(harness.folder, 'journal.json')));
    await writeFile(join(harness.folder, 'guard.000009.lock'), '');
    await writeFile(join(harness.folder, 'journal.json'), 'of the other process');
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await harness.until('reported', () =>
      harness.reported('fault').some(({ what }) => what === 'writing the journal'),
    );
    expect(await readFile(join(harness.folder, 'journal.json'), 'utf8')).toBe('of the other process');
  });

  it.runIf(process.platform !== 'win32')('is new is closed to others, with all its files', async () => {
    const path = join(folder, 'a', 'new');
    const guard = await harness.started({ folder: path });
    await harness.fail(guard);
    await guard.close();
    const names = ['journal.json', 'audit.jsonl', 'metrics.jsonl', 'metrics.csv', 'summary.json', 'salt'];
    for (const name of [...names, 'checkpoint.json', 'guard.000001.lock']) {
      expect((await stat(join(path, name))).mode & 0o777, name).toBe(0o600);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700);
  });

  it.runIf(process.platform !== 'win32')('is for a group can be read by it, but for the salt', async () => {
    const before = process.umask(0o022);
    try {
      const guard = await harness.started({ folder: join(folder, 'new'), mode: 0o640 });
      await guard.close();
    } finally {
      process.umask(before);
    }
    const modeOf = async (name: string) => (await stat(join(folder, 'new', name))).mode & 0o777;
    expect([await modeOf('.'), await modeOf('journal.json'), await modeOf('metrics.jsonl')]).toEqual([
      0o750, 0o640, 0o640,
    ]);
    expect(await modeOf('salt')).toBe(0o600);
  });

  it.each([0o400, 0o10600, -1, 0.5, '0600'])('refuses the mode %j', (mode) => {
    expect(() => harness.guard({ mode: mode as number })).toThrow(/mode: expected permissions .* 0o640/);
  });
});
