import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dashboard } from 'unleash-rollout-guard/dashboard';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DecisionView, Overview, Series } from '../../src/dashboard/api.js';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { Served } from '../dashboard/served.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { timeLimit } from '../helpers/machine-time.js';

let harness: GuardHarness;
let served: Served | undefined;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  await harness.close();
  await served?.close();
});

async function started(options: Partial<RolloutGuardOptions> = {}): Promise<RolloutGuard> {
  const guard = await harness.started({ tickMs: 20, log: false, ...options });
  served = await Served.of(guard.dashboard());
  return guard;
}

const series = () => served!.json<Series>('/api/flags/async-upload/series');
const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);

describe('guard.dashboard()', () => {
  it.each([
    ['with a folder', {}],
    ['without a folder', { folder: false } as const],
  ])('has the unfinished minute within a second, %s', async (_, options) => {
    const guard = await started(options);
    await harness.fail(guard, 2);
    expect(sum((await series()).treatment.failures)).toBe(2);
    const limit = timeLimit(1_200);
    const began = performance.now();
    await harness.fail(guard, 3);
    await eventually(async () => expect(sum((await series()).treatment.failures)).toBe(5));
    expect(performance.now() - began).toBeLessThan(limit());
    const { treatment, thresholds, percentage } = await series();
    expect(treatment.errorRate.at(-1)).toBe(1);
    expect(thresholds).toContainEqual({ trigger: 'success-rate-below', chart: 'error-rate', value: 0.05 });
    expect(percentage.length).toBe(treatment.trials.length);
  });

  it('has what this process knows though its folder cannot be read', async () => {
    const file = join(harness.folder, 'file');
    await mkdir(harness.folder, { recursive: true });
    await writeFile(file, '');
    const guard = await started({ folder: join(file, 'guard') });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const { treatment, annotations } = await series();
    expect(sum(treatment.failures)).toBeGreaterThan(0);
    expect(annotations.map(({ title }) => title)).toContain('stopped');
  });

  it('has the numbers of the guard', async () => {
    const guard = await started();
    await harness.fail(guard, 5);
    const { flags } = await served!.json<Overview>('/api/flags');
    const { treatment } = guard.status().snapshot.total;
    expect(flags[0]!.arms.treatment.counts.failures).toBe(treatment.failures);
    expect(flags[0]!.arms.treatment.errorTypes).toEqual(treatment.errorTypes);
  });

  it('has each decision, and what became of it', async () => {
    const guard = await started();
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const [decision] = await served!.json<DecisionView[]>('/api/flags/async-upload/decisions');
    const [decided] = harness.reported('decided');
    expect(decision).toMatchObject({ decision: { id: decided!.decision.id, flagKey: 'async-upload' } });
    expect(decision!.stoppedHereAt).toBeGreaterThan(0);
    expect(decision!.stoppedInUnleashAt).toBeGreaterThan(0);
  });

  it('has the decisions of earlier runs', async () => {
    const guard = await started();
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await guard.close();
    await served!.close();
    await started();
    const path = '/api/flags/async-upload/decisions';
    await eventually(async () => expect(await served!.json<DecisionView[]>(path)).toHaveLength(1));
  });

  it('shows several flags on one page', async () => {
    const guard = await harness.started({ tickMs: 20, log: false });
    const other = await harness.started({ flagKey: 'other', tickMs: 20, log: false });
    served = await Served.of(dashboard([guard, other]));
    const { flags } = await served.json<Overview>('/api/flags');
    expect(flags.map(({ flagKey }) => flagKey)).toEqual(['async-upload', 'other']);
  });

  it('refuses options that cannot be meant', async () => {
    const guard = harness.guard();
    const refused = (options: object) => () => guard.dashboard(options);
    expect(refused({ baseUrl: 'rollouts/' })).toThrow(/baseUrl: expected a path that begins with \//);
    expect(refused({ maxReaders: 0 })).toThrow(/maxReaders/);
    expect(refused({ controls: { token: 'short' } })).toThrow(/controls/);
    expect(refused({ controls: {} })).toThrow(/controls/);
    expect(refused({ hosts: 'a' })).toThrow(/hosts/);
    expect(refused({ secret: 'x' })).toThrow(/secret/);
    try {
      guard.dashboard({ token: 'hush hush hush hush' });
    } catch (error) {
      expect(String(error)).not.toContain('hush');
    }
  });
});
