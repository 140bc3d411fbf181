import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { killLog, runLogging, seeded } from '../helpers/kill-log.js';
import { compiledFile } from '../helpers/test-run.js';
import { parseCsv, rowsIn } from './logging.js';

let service: string;
let folder: string;

beforeAll(async () => {
  service = await compiledFile('test/helpers/logging-service.ts');
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outcome-log-kill-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the outcome log', () => {
  it('loses nothing that was flushed and counts nothing twice when its process is killed', async () => {
    // `npm run kill-test` does the same with many kills.
    await killLog({ service, folder: join(folder, 'killed'), kills: 5, random: seeded(1) });
  });

  it('writes what is buffered when the process exits', async () => {
    const path = join(folder, 'exits');
    await runLogging(service, path, 'exits');
    expect(await rowsIn(path)).toHaveLength(7);
    expect(parseCsv(await readFile(join(path, 'metrics.csv'), 'utf8'))).toHaveLength(8);
    expect((await runLogging(service, path, 'exits')).restored).toBe(7);
  });
});
