import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { successRateBelow, type Trigger } from 'unleash-rollout-guard';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;
const escaped = vi.fn();

beforeEach(async () => {
  harness = await GuardHarness.create();
  escaped.mockClear();
  process.on('uncaughtException', escaped);
});

afterEach(async () => {
  process.off('uncaughtException', escaped);
  await harness.close();
});

const failing = successRateBelow(0.95, { minOutcomes: 20, strict: true });

describe('a guard whose parts break', () => {
  it('continues without a trigger that returns no verdict', async () => {
    const silent = { name: 'silent', windowMs: 1_000, evaluate: () => undefined } as unknown as Trigger;
    const guard = await harness.started({ rollback: [silent, failing] });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(escaped).not.toHaveBeenCalled();
    expect(harness.reported('fault')[0]).toMatchObject({ what: 'the trigger silent' });
  });

  it('turns the flag off although a verdict cannot be written down', async () => {
    const odd: Trigger = {
      name: 'odd',
      windowMs: failing.windowMs,
      evaluate: (snapshot, now) => ({
        ...failing.evaluate(snapshot, now),
        trigger: 'odd',
        observed: 1n as unknown as number,
      }),
    };
    const guard = await harness.started({ rollback: [odd] });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(harness.unleash.enabled).toBe(false);
    expect(escaped).not.toHaveBeenCalled();
    expect(harness.reported('fault').map(({ what }) => what)).toEqual(
      expect.arrayContaining(['writing the audit log', 'writing the journal']),
    );
  });

  it('turns the flag off in Unleash although it cannot be stopped here', async () => {
    const guard = await harness.started();
    harness.flags.override = () => {
      throw new Error('broken');
    };
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(escaped).not.toHaveBeenCalled();
    expect(harness.reported('fault')[0]).toMatchObject({ what: 'override', message: 'broken' });
  });

  it('reports an async listener that rejects', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const guard = harness.guard();
    guard.onEvent(async () => {
      throw new Error('broken');
    });
    await guard.start();
    await harness.until('reported', () => harness.reported('fault').length === 1);
    await new Promise(setImmediate);
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(harness.reported('fault')[0]).toMatchObject({ what: 'a listener', message: 'broken' });
  });

  it('survives a flag source that throws', async () => {
    harness.flags.flag = () => {
      harness.flags.reads++;
      throw new Error('broken');
    };
    const guard = await harness.started({ tickMs: 5 });
    await harness.fail(guard);
    await harness.until('reported', () => harness.reported('fault').length === 2);
    expect(escaped).not.toHaveBeenCalled();
    expect(harness.reported('fault').map(({ what }) => what)).toEqual(['the tick', 'evaluating']);
  });
});

describe('the end of a guard', () => {
  it('resolves for every caller of close() when it is complete', async () => {
    const guard = await harness.started();
    void guard.close();
    await guard.close();
    expect(await readFile(join(harness.folder, 'audit.jsonl'), 'utf8')).toContain('"closed"');
  });

  it('is final: start() rejects after close()', async () => {
    const guard = await harness.started();
    await guard.close();
    await expect(guard.start()).rejects.toThrow('was closed');
  });
});
