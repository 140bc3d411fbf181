import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeFlags } from '../helpers/fake-flags.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { rowsIn } from '../log/logging.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});

afterEach(async () => {
  await harness.close();
});

async function serve(guard: Awaited<ReturnType<GuardHarness['started']>>, users: number, failing = 0) {
  const run = guard.operation<number, string>({
    treatment: (user) => (user < failing ? Promise.reject(new Error('down')) : 'new'),
    control: () => 'old',
    retries: 0,
    attributes: (user) => ({ request_id: `r-${user}`, file_size_mb: 1.5 }),
  });
  for (let user = 0; user < users; user++) await run({ targetingKey: `user-${user}` }, user);
}

describe("the guard's log", () => {
  it('contains a line for every outcome, with the percentage and without the user', async () => {
    const guard = await harness.started();
    await serve(guard, 5, 1);
    await guard.close();
    const rows = await rowsIn(harness.folder);
    expect(rows).toHaveLength(5);
    expect(rows[0]).toMatchObject({
      arm: 'treatment',
      success: false,
      fallback_used: true,
      percentage: 10,
      epoch: 1,
      attributes: { request_id: 'r-0', file_size_mb: 1.5 },
    });
    expect(rows[1]).toMatchObject({ success: true, fallback_used: false });
    const text = await readFile(join(harness.folder, 'metrics.jsonl'), 'utf8');
    expect(text).not.toContain('user-');
    // With two attributes, but for the first line of each path, which names it.
    const lengths = text
      .split('\n')
      .slice(2, 5)
      .map((line) => Buffer.byteLength(line));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(250);
    const summary = JSON.parse(await readFile(join(harness.folder, 'summary.json'), 'utf8'));
    expect(JSON.stringify(summary)).toContain('fallback');
  });

  it('brings windows and totals back after a restart, each outcome once', async () => {
    const first = await harness.started();
    await serve(first, 8, 0);
    await first.close();
    harness.flags = new FakeFlags();
    const second = await harness.started();
    await serve(second, 3, 0);
    const { snapshot, epoch } = second.status();
    expect(epoch).toBe(1);
    expect(snapshot.total.treatment.successes).toBe(11);
    expect(snapshot.windows[0]?.treatment.successes).toBe(11);
  });

  it('evaluates outcomes from before and after a restart together', async () => {
    const first = await harness.started();
    await serve(first, 10, 10);
    expect(first.state.status).toBe('armed');
    await first.close();
    harness.flags = new FakeFlags();
    const second = await harness.started();
    await serve(second, 10, 10);
    await harness.until('stopped', () => second.state.status === 'stopped');
  });

  it('forgets the windows from before an operator turned the flag on again, also after a restart', async () => {
    const first = await harness.started();
    await harness.fail(first);
    await harness.until('stopped', () => first.state.status === 'stopped');
    harness.flags.change({ enabled: false });
    harness.flags.change({ enabled: true });
    await serve(first, 4, 0);
    const { epoch } = first.status();
    await first.close();
    const { facts } = harness.flags;
    harness.flags = new FakeFlags();
    harness.flags.facts = facts;
    const second = await harness.started();
    expect(second.status().epoch).toBe(epoch);
    expect(second.status().snapshot.windows[0]?.treatment).toMatchObject({ successes: 4, failures: 0 });
  });

  it('forgets them as well when an operator turned the flag on while no guard was running', async () => {
    const first = await harness.started();
    await serve(first, 10, 10);
    harness.flags.change({ enabled: false });
    await first.close();
    harness.flags = new FakeFlags();
    const second = await harness.started({ tickMs: 5 });
    expect(second.status().snapshot.windows[0]?.treatment).toMatchObject({ successes: 0, failures: 0 });
    await serve(second, 10, 10);
    await new Promise(setImmediate);
    expect(second.state.status).toBe('armed');
  });

  it('is not written when the user wants no log', async () => {
    const guard = await harness.started({ log: false });
    await serve(guard, 3);
    await guard.close();
    await expect(rowsIn(harness.folder)).rejects.toThrow('ENOENT');
  });
});
