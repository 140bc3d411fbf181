import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ViewFile } from '../../../src/journal/view-file.js';
import { eventually } from '../../helpers/eventually.js';
import { GuardHarness } from '../../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(() => harness.close());

const written = () => new ViewFile(harness.folder).load();

describe('the view on disk', () => {
  it('is written when the guard starts, becomes blind, and ends', async () => {
    const health = vi.fn(() => ({ status: 'ok' }));
    Object.assign(harness.flags, { health });
    let aheadMs = 0;
    const clock = { now: () => Date.now() + aheadMs, monotonic: () => performance.now() + aheadMs };
    const guard = await harness.started({ tickMs: 5, clock });
    await eventually(async () => expect(await written()).toMatchObject({ health: { status: 'ok' } }));
    expect(await written()).toMatchObject({ flagKey: 'async-upload', isClosed: false });
    health.mockReturnValue({ status: 'error' });
    for (let step = 0; step < 4; step++) {
      await harness.ticks(2);
      aheadMs += 4_000;
    }
    await eventually(async () =>
      expect(await written()).toMatchObject({
        health: { status: 'blind', reasons: [{ code: 'stale-flags' }] },
      }),
    );
    await guard.close();
    expect(await written()).toMatchObject({
      isClosed: true,
      health: { status: 'blind', reasons: [{ code: 'closed' }] },
    });
  });

  it('is a sign of life: written again every 10 seconds', async () => {
    let aheadMs = 0;
    const clock = { now: () => Date.now() + aheadMs, monotonic: () => performance.now() + aheadMs };
    await harness.started({ tickMs: 5, clock });
    await eventually(async () => expect(await written()).toBeDefined());
    const first = (await written())!.at;
    for (let step = 0; step < 3; step++) {
      aheadMs += 4_000;
      await harness.ticks(2);
    }
    await eventually(async () => expect((await written())!.at).toBeGreaterThanOrEqual(first + 10_000));
  });

  it('is written within about a second of a change, and for its owner only', async () => {
    const guard = await harness.started({ tickMs: 20, log: false });
    await eventually(async () => expect(await written()).toBeDefined());
    await harness.fail(guard, 3);
    const counts = async () => (await written())?.arms.treatment.counts.failures;
    await eventually(async () => expect(await counts()).toBe(3));
    expect((await stat(join(harness.folder, 'view.json'))).mode & 0o777).toBe(0o600);
  });

  it('has the decision after a stop', async () => {
    const guard = await harness.started({ tickMs: 20 });
    await harness.fail(guard);
    await eventually(async () =>
      expect(await written()).toMatchObject({
        state: { status: 'stopped', decision: { verdicts: [{ trigger: 'success-rate-below' }] } },
      }),
    );
  });

  it('reports once that it cannot be written, and guards all the same', async () => {
    await mkdir(join(harness.folder, 'view.json'));
    const guard = await harness.started({ tickMs: 5 });
    await harness.until('reported', () => harness.reported('fault').length > 0);
    expect(harness.reported('fault')).toMatchObject([{ what: 'writing view.json' }]);
    expect(guard.health.status).toBe('ok');
  });
});
