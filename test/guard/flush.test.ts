import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { GuardHarness } from '../helpers/guard-harness.js';

async function harness(): Promise<GuardHarness> {
  const harness = await GuardHarness.create();
  onTestFinished(() => harness.close());
  return harness;
}

const lines = async (folder: string, file: string) =>
  (await readFile(join(folder, file), 'utf8')).split('\n').filter(Boolean);

describe('guard.flush', () => {
  it('resolves when outcomes and events are on disk, notified, and the usage metrics are sent', async () => {
    const rollout = await harness();
    const flush = vi.fn(async () => {});
    Object.assign(rollout.flags, { flush });
    const notify = vi.fn(async () => {});
    const guard = await rollout.started({ notify: [notify], log: { flushMs: 60_000 } });

    await rollout.fail(guard, 3);
    await guard.flush();

    expect(await lines(rollout.folder, 'metrics.jsonl')).toHaveLength(3);
    expect((await lines(rollout.folder, 'audit.jsonl')).length).toBeGreaterThan(0);
    expect(flush).toHaveBeenCalledTimes(1);
    await rollout.fail(guard, 20);
    await rollout.until('the stop', () => rollout.reported('stopped').length > 0);
    await guard.flush();
    expect(notify).toHaveBeenCalled();
  });

  it('reports what cannot be sent as a fault, and never rejects', async () => {
    const rollout = await harness();
    Object.assign(rollout.flags, {
      flush: () => {
        throw new Error('metrics are refused');
      },
    });
    const guard = await rollout.started();

    await expect(guard.flush()).resolves.toBeUndefined();

    expect(rollout.reported('fault')).toMatchObject([{ what: 'sending usage metrics' }]);
  });

  it('does nothing before the start and after the end', async () => {
    const rollout = await harness();
    const guard = rollout.guard();
    await expect(guard.flush()).resolves.toBeUndefined();
    await guard.start();
    await guard.close();
    await expect(guard.flush()).resolves.toBeUndefined();
  });
});

describe('a flag that is evaluated as on in spite of its override', () => {
  it('is reported once, and not for what was under way', async () => {
    const rollout = await harness();
    const guard = await rollout.started({ dryRun: true });
    const on = { value: true, variant: 'on', reason: 'SPLIT' };
    rollout.flags.override('async-upload', 'too many errors');

    for (let user = 0; user < 19; user++) guard.exposed(on, `u${user}`);
    expect(rollout.reported('fault')).toEqual([]);
    for (let user = 0; user < 50; user++) guard.exposed(on, `v${user}`);

    expect(rollout.reported('fault')).toMatchObject([{ what: 'evaluations in spite of the override' }]);
  });
});

describe('a guard of another environment or project than its provider', () => {
  it.each([
    [{ project: undefined, environment: 'development' }, /unleash\.environment: expected "development"/],
    [{ project: 'shop', environment: 'production' }, /unleash\.project: expected "shop"/],
  ])('is refused: %j', async (scope, problem) => {
    const rollout = await harness();
    Object.assign(rollout.flags, { scope });

    expect(() => rollout.guard()).toThrow(problem);
  });

  it('is not refused when the provider does not know its own', async () => {
    const rollout = await harness();
    Object.assign(rollout.flags, { scope: undefined });

    expect(() => rollout.guard()).not.toThrow();
  });
});
