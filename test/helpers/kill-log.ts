import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseCsv, rowsIn } from '../log/logging.js';

/** What `logging-service.ts` reported before it ended. */
export interface LoggingRun {
  /** How many outcomes it found in its folder. */
  readonly restored: number;
  /** How many it had flushed. */
  readonly flushed: number;
}

/** Runs the compiled `logging-service.ts`; `killed` ends it so long after it has flushed so often. */
export function runLogging(
  service: string,
  folder: string,
  ending: 'killed' | 'exits' | 'closes',
  { flushes, delayMs } = { flushes: 0, delayMs: 0 },
): Promise<LoggingRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [service, folder, ending], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // A service that hangs must not outlive this process.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
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
      // Not a wait: the kill is to come at any moment between two flushes.
      if (ending === 'killed' && flushesLeft === 0) setTimeout(kill, delayMs);
    });
    // Both must have ended: what the service wrote last may arrive after its exit.
    const exited = new Promise<void>((done) => child.once('exit', () => done()));
    const read = new Promise<void>((done) => lines.once('close', done));
    Promise.all([exited, read]).then(() => {
      process.off('exit', kill);
      if (child.signalCode === (ending === 'killed' ? 'SIGKILL' : null) && restored >= 0) {
        resolve({ restored, flushed: Math.max(flushed, restored) });
      } else reject(new Error(`The service ended by itself with ${child.exitCode}.`));
    }, reject);
  });
}

/**
 * Kills a service that logs outcomes, restarts it in the same folder, and so on.
 *
 * @throws {assert.AssertionError} when an outcome was lost that had been flushed, or one was counted twice.
 */
export async function killLog(options: {
  readonly service: string;
  readonly folder: string;
  readonly kills: number;
  readonly random: () => number;
  readonly onKill?: () => void;
}): Promise<void> {
  const { service, folder, kills, random } = options;
  let flushed = 0;
  for (let kill = 0; kill < kills; kill++) {
    const moment = { flushes: Math.floor(random() * 6), delayMs: random() * 5 };
    const run = await runLogging(service, folder, 'killed', moment);
    assert(run.restored >= flushed, `${run.restored} outcomes restored of ${flushed} flushed ones`);
    ({ flushed } = run);
    options.onKill?.();
  }
  const last = await runLogging(service, folder, 'closes');
  assert(last.restored >= flushed, `${last.restored} outcomes restored of ${flushed} flushed ones`);

  // A run numbers on from what it restored. Had one ever restored too little, a number would be there twice; had one
  // counted something twice, a number would be missing.
  const numbers = (await rowsIn(folder)).map(({ request_id }) => Number(request_id));
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
  assert.equal(numbers.length, last.flushed);
  assert(numbers.length > 4 * kills, 'the kills came before anything was written');

  for (const name of await readdir(folder)) {
    if (!name.endsWith('.csv')) continue;
    const widths = parseCsv(await readFile(join(folder, name), 'utf8')).map((cells) => cells.length);
    assert.equal(new Set(widths).size, 1, `${name} has rows of different lengths`);
  }
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
