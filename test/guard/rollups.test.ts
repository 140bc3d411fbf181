import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { serviceVersionOf } from '../../src/guard/options/service-version.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { readHistory } from '../../src/rollups/read-history.js';
import type { RolloutHistory } from '../../src/rollups/rollup.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { HOUR, MINUTE, NOON } from '../rollups/rollups.js';

let harness: GuardHarness;
let now: number;

beforeEach(async () => {
  harness = await GuardHarness.create();
  now = NOON + 10_000;
});

afterEach(() => harness.close());

/** A guard whose minutes the test lets pass. */
function started(options: Partial<RolloutGuardOptions> = {}): Promise<RolloutGuard> {
  const clock = { now: () => now, monotonic: () => performance.now() };
  return harness.started({
    clock,
    tickMs: 5,
    serviceVersion: '1.0',
    log: { summaryMs: 1, flushMs: 1_000_000 },
    ...options,
  });
}

async function serve(guard: RolloutGuard, users: number, failing = 0): Promise<void> {
  const run = guard.operation({
    treatment: (input: number) => (input < failing ? Promise.reject(new RangeError('no')) : 'new'),
    control: () => 'old',
    retries: 0,
  });
  for (let user = 0; user < users; user++) await run({ targetingKey: `user-${user}` }, user);
}

const read = () => readHistory(harness.folder);
const successes = ({ rollups }: RolloutHistory) =>
  rollups.reduce((sum, { arms }) => sum + arms.treatment.successes, 0);
const failures = ({ rollups }: RolloutHistory) =>
  rollups.reduce((sum, { arms }) => sum + arms.treatment.failures, 0);

async function summary() {
  return JSON.parse(await readFile(join(harness.folder, 'summary.json'), 'utf8'));
}

describe("the guard's rollups", () => {
  it('have what happened in each minute, and what the triggers observed', async () => {
    const guard = await started();
    await serve(guard, 30, 1);
    await harness.ticks(3);
    now += MINUTE;
    await harness.ticks(3);
    await serve(guard, 12);
    await guard.close();
    const { rollups } = await read();
    expect(rollups.map(({ at }) => (at - NOON) / MINUTE)).toEqual([0, 1]);
    const [first, second] = rollups;
    expect(first).toMatchObject({
      durationMs: MINUTE,
      epoch: 1,
      percentage: 10,
      serviceVersions: ['1.0'],
      arms: {
        treatment: {
          successes: 29,
          failures: 1,
          fallbacks: 1,
          userSuccesses: 30,
          errorTypes: [['RangeError', 1]],
        },
        control: { successes: 0 },
      },
      triggers: [{ trigger: 'success-rate-below', status: 'ok', threshold: 0.95, unit: 'fraction' }],
    });
    expect(first?.triggers[0]?.observed).toBeCloseTo(29 / 30, 9);
    expect(second?.arms.treatment).toMatchObject({ successes: 12, userSuccesses: 12 });
  });

  it('are at 0 % while the flag is off, although its strategy still has a percentage', async () => {
    const guard = await started();
    await serve(guard, 3);
    await harness.ticks(3);
    now += MINUTE;
    await harness.ticks(3);
    harness.flags.change({ enabled: false });
    await harness.ticks(3);
    await serve(guard, 4);
    await guard.close();
    expect((await read()).rollups.map(({ percentage }) => percentage)).toEqual([10, 0]);
    expect(await summary()).toMatchObject({ percentage: 0, arms: { control: { count: 4 } } });
  });

  it('count each outcome once over restarts within a minute', async () => {
    for (let run = 0; run < 3; run++) {
      const guard = await started();
      await serve(guard, 10);
      await harness.ticks(2);
      await serve(guard, 5);
      await guard.close();
    }
    const history = await read();
    expect(history.rollups).toHaveLength(1);
    expect(successes(history)).toBe(45);
    expect((await summary()).total.count).toBe(45);
  });

  it('count everything, also what has no line of its own in the log', async () => {
    const guard = await started({ log: { maxWaiting: 10, flushMs: 1_000_000, csv: false } });
    await serve(guard, 60, 2);
    await guard.close();
    const { total, arms, execution_types, dropped_lines } = await summary();
    expect(dropped_lines).toBe(0);
    expect(total.count).toBe(60);
    expect(arms.treatment).toMatchObject({ count: 60, failures: 2, success_rate: 58 / 60 });
    expect(execution_types).toMatchObject({
      treatment: { count: 58, success_rate: 1 },
      fallback: { count: 2, success_rate: 1 },
    });
  });

  it('are kept without a log, too', async () => {
    const guard = await started({ log: false });
    await serve(guard, 7);
    await guard.close();
    expect(successes(await read())).toBe(7);
    expect((await summary()).total.count).toBe(7);
  });

  it('lose nothing when the rollout changes within a minute, and late outcomes neither', async () => {
    const guard = await started();
    await serve(guard, 8);
    let finish: (value: string) => void = () => {};
    const late = guard.operation({
      treatment: () =>
        new Promise<string>((resolve) => {
          finish = resolve;
        }),
      control: () => 'old',
    })({ targetingKey: 'late' }, undefined);
    harness.flags.change({ rolloutPercentage: 50, revision: 'r2' });
    await harness.until('the next epoch', () => guard.status().epoch === 2);
    await serve(guard, 4);
    finish('new');
    await late;
    await guard.close();
    const { rollups, annotations } = await read();
    expect(rollups).toHaveLength(1);
    expect(rollups[0]).toMatchObject({
      epoch: 2,
      percentage: 50,
      arms: { treatment: { successes: 13 } },
    });
    expect(annotations.map(({ type, title }) => `${type} ${title}`)).toEqual([
      'percentage 10 %',
      'percentage 50 %',
    ]);
  });

  it('mark a stop and its decision, and a deploy, but no restart', async () => {
    const first = await started();
    await serve(first, 30);
    await first.close();
    now += HOUR;
    const second = await started({ serviceVersion: '1.1' });
    await harness.fail(second);
    await harness.until('stopped', () => second.state.status === 'stopped');
    await second.close();
    const { annotations } = await read();
    // Unleash's history says who turned it off, if it was read in time.
    const marks = annotations.map(({ type, title }) => `${type} ${title}`);
    expect(marks.filter((mark) => mark !== 'percentage turned off').sort()).toEqual([
      'decision stop',
      'decision stopped',
      'deploy 1.1',
      'percentage 10 %',
    ]);
    const [decision] = harness.reported('decided');
    expect(annotations.find(({ title }) => title === 'stop')).toMatchObject({
      decisionId: decision?.decision.id,
      text: expect.stringContaining('The flag is being turned off'),
    });
    const breached = (await read()).rollups.at(-1)?.triggers[0];
    expect(breached).toMatchObject({ trigger: 'success-rate-below', status: 'breach' });
  });

  it('stay whole when the clock is set forward and back', async () => {
    const guard = await started();
    for (const at of [NOON, NOON + 5 * HOUR, NOON - HOUR, NOON, NOON + MINUTE]) {
      now = at;
      await harness.ticks(3);
      await serve(guard, 10, 0);
      await harness.ticks(3);
    }
    await guard.close();
    expect(successes(await read())).toBe(50);
    expect((await summary()).total.count).toBe(50);
  });

  it('begin anew in a folder that was emptied while the guard runs', async () => {
    const guard = await started();
    await serve(guard, 10);
    await harness.ticks(3);
    now += MINUTE;
    await harness.ticks(5);
    await rm(join(harness.folder, 'rollups'), { recursive: true });
    await serve(guard, 10, 1);
    now += MINUTE;
    await harness.ticks(5);
    await guard.close();
    const history = await read();
    expect(failures(history)).toBe(1);
    expect((await summary()).total.count).toBe(20);
  });
});

describe('the version of a service', () => {
  it.each([
    [{ OTEL_SERVICE_VERSION: '1', npm_package_version: '3' }, '1'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=b, service.version=2%2E0,c=d', npm_package_version: '3' }, '2.0'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'service.version=%' }, '%'],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'service.name=x', npm_package_version: '3' }, '3'],
    [{}, undefined],
  ])('of the environment %j is %s', (environment, version) => {
    expect(serviceVersionOf(environment)).toBe(version);
  });
});
