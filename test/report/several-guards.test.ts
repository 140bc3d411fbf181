import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectReport } from '../../src/report/collect.js';
import { renderStatuses, statusLineOf } from '../../src/report/status/render.js';
import { readRolloutStatuses } from '../../src/report/status/rollout-status.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { recordRollout } from '../helpers/recorded-rollout.js';

let folder: string;
let second: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'several-guards-'));
  second = join(folder, 'guard-2');
  const rules = { rollback: [successRateBelow(0.9), criticalErrors()], review: [], stages: [] };
  const healthy = { percentage: 50, outcomes: 200, everyMs: 1_000 };
  await recordRollout(folder, [healthy], rules);
  await recordRollout(second, [{ ...healthy, failureRate: { treatment: 0.5 } }], rules);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a folder of several guards', () => {
  it('is reported as one rollout: outcomes and decisions of all', async () => {
    const report = await collectReport([folder]);
    expect(report.sources.guards).toBe(2);
    expect(report.arms.treatment.counted + report.arms.control.counted).toBe(400);
    expect(report.decisions).toHaveLength(1);
    expect(report.headline).toContain('success rate');
    const { arms } = await collectReport([second]);
    expect(arms.treatment.counted + arms.control.counted).toBe(200);
  });

  it('is shown as each of them', async () => {
    const statuses = await readRolloutStatuses(folder);
    expect(statuses.map(({ folder, state }) => [folder, state])).toEqual([
      [folder, 'armed'],
      [second, 'stopped'],
    ]);
    const table = renderStatuses(statuses, Date.now());
    expect(table).toContain(`Folder    ${second}`);
    expect(statusLineOf(statuses).split(' || ')).toHaveLength(2);
  });

  it('is shown although the files of one cannot be read, which is named', async () => {
    const third = join(folder, 'guard-3');
    await recordRollout(third, [{ percentage: 50, outcomes: 5, everyMs: 1_000 }], {
      rollback: [criticalErrors()],
      review: [],
      stages: [],
    });
    for (const file of ['journal.json', 'audit.jsonl']) await writeFile(join(third, file), '{"half');
    const statuses = await readRolloutStatuses(folder);
    // What it showed of itself last is there.
    expect(statuses[2]).toMatchObject({ folder: third, flagKey: 'async-upload' });
    expect(statuses[2]?.problems.join()).toContain('journal.json');
    await writeFile(join(third, 'view.json'), '{"half');
    const without = await readRolloutStatuses(folder);
    expect(without).toHaveLength(2);
    expect(without[0]?.problems.join()).toContain('guard-3');
    await rm(third, { recursive: true });
  });
});
