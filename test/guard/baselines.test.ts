import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { BASELINE_FILE } from '../../src/journal/baseline-file.js';
import type { GuardEvent } from '../../src/model/event.js';
import { memoryGrowth } from '../../src/triggers/memory-growth.js';
import { eventually } from '../helpers/eventually.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const MIB = 2 ** 20;

let folder: string;
let flags: FakeFlags;
let events: GuardEvent[];
let memoryBytes: number;
const guards: RolloutGuard[] = [];

const faults = () => events.filter((event) => event.type === 'fault').map(({ what }) => what);
const readBaseline = async () => JSON.parse(await readFile(join(folder, BASELINE_FILE), 'utf8')) as unknown;

/** A guard that works once a second, and whose ticks the fake timers make. */
async function workingGuard(): Promise<{ guard: RolloutGuard; work: (seconds: number) => Promise<void> }> {
  const guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [memoryGrowth(1.2)],
    folder,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    onEvent: (event) => events.push(event),
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
    readMemoryBytes: () => memoryBytes,
  });
  guards.push(guard);
  await guard.start();
  const run = guard.operation<void, string>({ treatment: () => 'new', control: () => 'old' });
  const work = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      for (let user = 0; user < 3; user++) await run({ targetingKey: `user-${user}` });
      await vi.advanceTimersByTimeAsync(1_000);
    }
  };
  return { guard, work };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollout-guard-'));
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['setInterval', 'clearInterval', 'Date'] });
  flags = new FakeFlags();
  events = [];
  memoryBytes = 1_000 * MIB;
});

afterEach(async () => {
  await Promise.all(guards.splice(0).map((guard) => guard.close()));
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

describe("a guard's baselines", () => {
  it('are recorded while the flag is off, saved on disk, and resumed by the next run', async () => {
    flags.change({ enabled: false });
    const first = await workingGuard();
    await first.work(70);
    await first.guard.close();
    expect(await readBaseline()).toMatchObject({
      version: 1,
      flagKey: 'async-upload',
      memory: { bytes: 1_000 * MIB },
      control: { during: 'flag-off', successes: 210, failures: 0, latency: { count: 210 } },
    });

    // The next run begins in the middle of the rollout, and its memory is high from the start.
    flags.change({ enabled: true });
    memoryBytes = 1_300 * MIB;
    const { guard, work } = await workingGuard();
    await work(62);
    expect(guard.state.status).not.toBe('armed');
    const decided = events.find((event) => event.type === 'decided');
    expect(decided?.decision.verdicts[0]).toMatchObject({
      trigger: 'memory-growth',
      observed: 1.3,
      message: expect.stringMatching(/baseline of 1000.0 MiB, measured while the flag was off, \d+ s ago/),
    });
  });

  it('come with every snapshot', async () => {
    flags.change({ enabled: false });
    const { guard, work } = await workingGuard();
    expect(guard.status().snapshot.baseline).toBeUndefined();
    await work(40);
    expect(guard.status().snapshot.baseline?.control).toMatchObject({ during: 'flag-off' });
    flags.change({ enabled: true, rolloutPercentage: 100 });
    await work(10);
    expect(guard.status().snapshot.baseline?.control).toMatchObject({ during: 'flag-off' });
  });

  it('are written while the process runs, not only at its end', async () => {
    flags.change({ enabled: false });
    const { work } = await workingGuard();
    await work(34);
    await expect(readBaseline()).rejects.toThrow('ENOENT');
    await work(70);
    vi.useRealTimers();
    await eventually(async () => expect(await readBaseline()).toMatchObject({ version: 1 }));
  });

  it.each([
    ['half a file', '{"version":1,'],
    ['another version', '{"version":2,"flagKey":"async-upload"}'],
    ['another flag', '{"version":1,"flagKey":"search"}'],
    [
      'no bytes',
      '{"version":1,"flagKey":"async-upload","memory":{"bytes":-1,"samples":1,"since":0,"until":0}}',
    ],
  ])('are reported and ignored when the file holds %s', async (_what, text) => {
    await writeFile(join(folder, BASELINE_FILE), text);
    const { guard, work } = await workingGuard();
    expect(faults()).toEqual(['reading the baseline']);
    expect(guard.status().snapshot.baseline).toBeUndefined();
    await work(2);
    expect(guard.state.status).toBe('armed');
  });
});
