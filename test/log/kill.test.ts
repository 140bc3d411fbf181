import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCsv, rowsIn, summaryIn } from './logging.js';

const KILLS = 200;
/** The same seed gives the same delays, if not the same scheduling. */
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

const root = fileURLToPath(new URL('../..', import.meta.url));
// Within the project, so that the compiled service finds the project's packages.
const compiled = join(root, 'node_modules/.cache', `logging-service-${process.pid}`);
const service = join(compiled, 'test/helpers/logging-service.js');

let folder: string;
/** A service that hangs must not outlive the test. */
const alive = new Set<ChildProcess>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outcome-log-kill-'));
  mkdirSync(compiled, { recursive: true });
  // Compiled once: 200 starts through tsx would take minutes.
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const source = join(root, 'test/helpers/logging-service.ts');
  const flags = '--module nodenext --target es2023 --types node --noCheck --ignoreConfig'.split(' ');
  execFileSync(process.execPath, [tsc, source, ...flags, '--rootDir', root, '--outDir', compiled], {
    stdio: 'inherit',
  });
});

afterAll(async () => {
  for (const child of alive) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
  await rm(compiled, { recursive: true, force: true });
});

interface Run {
  readonly restored: number;
  readonly flushed: number;
}

/** Starts the service, and kills it so long after it has flushed so often. */
function run(
  path: string,
  ending: 'killed' | 'exits' | 'closes',
  { flushes, delayMs } = { flushes: 0, delayMs: 0 },
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [service, path, ending], { stdio: ['ignore', 'pipe', 'inherit'] });
    alive.add(child);
    child.once('exit', () => alive.delete(child));
    let restored = -1;
    let flushed = 0;
    let flushesLeft = flushes;
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      const [what, count] = line.split(' ');
      if (what === 'restored') restored = Number(count);
      else {
        flushed = Number(count);
        flushesLeft -= 1;
      }
      if (ending === 'killed' && flushesLeft === 0) setTimeout(() => child.kill('SIGKILL'), delayMs);
    });
    // Both must have ended: what the service said last may arrive after its death.
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    const heard = new Promise<void>((done) => lines.once('close', done));
    Promise.all([ended, heard]).then(() => {
      if (child.signalCode === (ending === 'killed' ? 'SIGKILL' : null) && restored >= 0) {
        resolve({ restored, flushed: Math.max(flushed, restored) });
      } else reject(new Error(`the service ended by itself (${child.exitCode}), seed ${SEED}`));
    }, reject);
  });
}

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('an outcome log whose process is killed', () => {
  it(`loses at most what was not flushed and counts nothing twice, ${KILLS} times in a row`, async () => {
    const random = seeded(SEED);
    // Two services at once, each with its folder, since one alone mostly waits for the other core.
    const killAgainAndAgain = async (path: string) => {
      let flushed = 0;
      for (let kill = 0; kill < KILLS / 2; kill++) {
        const next = await run(path, 'killed', {
          flushes: Math.floor(random() * 6),
          delayMs: random() * 5,
        });
        expect(next.restored, `seed ${SEED}`).toBeGreaterThanOrEqual(flushed);
        ({ flushed } = next);
      }
      const last = await run(path, 'closes');
      expect(last.restored, `seed ${SEED}`).toBeGreaterThanOrEqual(flushed);

      // A run numbers on from what it restored. Had one ever restored too little, a number would be there twice; had one
      // counted something twice, a number would be missing.
      const rows = await rowsIn(path);
      const numbers = rows.map(({ request_id }) => Number(request_id));
      expect(numbers, `seed ${SEED}`).toEqual(numbers.map((_, index) => index + 1));
      expect(rows).toHaveLength(last.flushed);
      expect(rows.length, 'the kills came before anything was written').toBeGreaterThan(2 * KILLS);

      const { total } = await summaryIn(path);
      expect(total.successes + total.failures).toBe(rows.length);
      for (const name of await readdir(path)) {
        if (!name.endsWith('.csv')) continue;
        const table = parseCsv(await readFile(join(path, name), 'utf8'));
        expect(new Set(table.map((cells) => cells.length)).size, `seed ${SEED}`).toBe(1);
      }
    };
    await Promise.all([killAgainAndAgain(join(folder, 'a')), killAgainAndAgain(join(folder, 'b'))]);
  }, 300_000);

  it('writes what waits when the process just exits', async () => {
    const path = join(folder, 'exit');
    await run(path, 'exits');
    expect(await rowsIn(path)).toHaveLength(7);
    expect(parseCsv(await readFile(join(path, 'metrics.csv'), 'utf8'))).toHaveLength(8);
    expect((await run(path, 'exits')).restored).toBe(7);
  });
});
