import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Series } from '../../src/dashboard/api.js';
import { FolderSource } from '../../src/dashboard/sources/folder-source.js';
import { ViewFile } from '../../src/journal/view-file.js';
import { RollupBook } from '../../src/rollups/rollup-book.js';
import { RollupFiles } from '../../src/rollups/rollup-files.js';
import { lineOfRollup } from '../../src/rollups/rollup-line.js';
import { processorMs } from '../helpers/machine-time.js';
import { viewOf } from '../helpers/views.js';
import { armOf, HOUR, MINUTE, NOON, rollupOf } from '../rollups/rollups.js';
import { Served } from './served.js';

const DAY = 24 * HOUR;
const BEGAN = NOON - 21 * DAY;

let folder: string;
let served: Served;

/** Three weeks of a busy service as its guard keeps them: minutes of a day, ten minutes of a week, hours of it all. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'three-weeks-'));
  const files = new RollupFiles(folder, 'async-upload', {}, () => {});
  const durations = Array.from({ length: 400 }, (_, index) => 2 * 1.02 ** index);
  const arm = armOf({ successes: 300_000, failures: 900 }, durations);
  const arms = { treatment: arm, control: arm };
  const lines = (series: 'minutes' | 'ten-minutes' | 'hours', durationMs: number, from: number) =>
    Array.from({ length: (NOON - from) / durationMs }, (_, index) => {
      const at = from + index * durationMs;
      return { series, line: lineOfRollup(rollupOf({ at, durationMs, arms })), end: at + durationMs };
    });
  const pending = [
    ...lines('hours', HOUR, BEGAN),
    ...lines('ten-minutes', 10 * MINUTE, NOON - 12 * DAY),
    ...lines('minutes', MINUTE, NOON - 1.5 * DAY),
  ];
  await files.write({ book: new RollupBook().toState(), pending });
  await new ViewFile(folder).save(viewOf({ at: NOON }));
  served = await Served.dashboard([new FolderSource('async-upload', [folder])]);
});

afterAll(async () => {
  await served.close();
  await rm(folder, { recursive: true, force: true });
});

/** A series, and how much of a processor's time it took. */
async function asked(query = '') {
  let series: Series;
  const cpuMs = await processorMs(async () => {
    series = await served.json<Series>(`/api/flags/async-upload/series${query}`);
  });
  return { series: series!, cpuMs };
}

describe('three weeks of a busy service', () => {
  it('are served as a whole, at first and again', async () => {
    const first = await asked();
    expect(first.series).toMatchObject({ first: BEGAN, last: NOON });
    expect(first.series.at.length).toBeGreaterThan(250);
    // Hours have everything.
    const trials = first.series.treatment.trials.reduce((sum, each) => sum + each, 0);
    expect(trials).toBe(21 * 24 * 300_900);
    const again = await asked('?points=599');
    expect(Math.min(first.cpuMs, again.cpuMs)).toBeLessThan(1_000);
  });

  it('are zoomed from weeks to a minute', async () => {
    const day = await asked(`?from=${NOON - DAY}&to=${NOON}`);
    expect(day.series.stepMs).toBeLessThanOrEqual(5 * MINUTE);
    const hour = await asked(`?from=${NOON - HOUR}`);
    expect([hour.series.stepMs, hour.series.at.length]).toEqual([MINUTE, 60]);
    const minute = await asked(`?from=${NOON - MINUTE}&to=${NOON}`);
    expect(minute.series.at).toEqual([NOON - MINUTE]);
    const before = await asked(`?from=${BEGAN}&to=${BEGAN + 2 * DAY}`);
    expect(before.series.at.length).toBe(48);
  });
});
