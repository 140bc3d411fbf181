/**
 * What logging an outcome costs: on the request path, and later in the background, beside pino's ways to write a line.
 * Run with `npx tsx bench/log.ts`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { destination, pino } from 'pino';
import { resolveLogOptions } from '../src/log/log-options.js';
import { csvLineOf, rowOfOutcome } from '../src/log/log-row.js';
import { columnsWith, jsonLineOf, RepeatedNames } from '../src/log/log-row-schema.js';
import { OutcomeLog } from '../src/log/outcome-log.js';
import { readOutcomeBatches } from '../src/log/read-log.js';
import { UserHash } from '../src/log/user-hash.js';
import { unitHasher } from '../src/measure/evidence/evidence-feed.js';
import { MemoryOutcomeStore } from '../src/measure/memory-outcome-store.js';
import type { Outcome } from '../src/model/shapes.js';
import { systemClock } from '../src/support/clock.js';
import { compare, printComparison } from './harness.js';

const START = 1_700_000_000_000;
const POOL = 4096;
const MASK = POOL - 1;
/** So many outcomes a flush gets at 4,000 outcomes a second. */
const BATCH = 4_000;

const folder = mkdtempSync(join(tmpdir(), 'bench-log-'));
const executionTypes = { treatment: 'async', control: 'sync', fallback: 'sync_fallback' };
const columns = ['file_size_mb', 'provider', 'request_id'];
const plainContext = {
  executionTypes,
  columns,
  percentageOf: () => 10,
  hidden: (unit: string) => `u${unit}`,
};
const tableColumns = columnsWith(columns);
const pool = Array.from({ length: POOL }, (_, index) => outcomeOf(index));
const rows = pool.map((outcome) => rowOfOutcome(outcome, plainContext));

printLineLength();
try {
  await benchRequestPath();
  await benchBackground();
  await benchReading();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Of the usual outcomes of an operation, whose users are drawn. */
function printLineLength(): void {
  const users = new UserHash();
  const names = new RepeatedNames();
  const lengths = pool.map((outcome, index) => {
    const { exposure } = outcome;
    const tookMs = Math.floor(outcome.durationMs! + 0.5);
    const drawn = {
      ...exposure,
      isOperation: true,
      chance: 0.1,
      unit: exposure.targetingKey,
      at: outcome.at - tookMs,
    };
    const context = { ...plainContext, hidden: (unit: string) => users.of(unit, index) };
    return Buffer.byteLength(jsonLineOf(rowOfOutcome({ ...outcome, exposure: drawn }, context, 10), names));
  });
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  console.log(
    `A line of metrics.jsonl has ${mean.toFixed(0)} bytes, at most ${Math.max(...lengths.slice(4))}.`,
  );
}

async function benchRequestPath(): Promise<void> {
  const buffered = pino(
    destination({ dest: join(folder, 'pino.jsonl'), sync: true, minLength: 65_536, maxWrite: 131_072 }),
  );
  const direct = pino(destination({ dest: join(folder, 'pino-sync.jsonl'), sync: true }));
  const store = storeOf();
  // Not started: what is recorded waits, and a log that is full of waiting outcomes is replaced.
  let log = logOf();
  let waiting = 0;
  const measurements = await compare(
    [
      {
        name: 'MemoryOutcomeStore.record',
        run: (iterations) => each(iterations, (outcome) => store.record(outcome)),
      },
      {
        name: 'OutcomeLog.record',
        run: (iterations) =>
          each(iterations, (outcome) => {
            if (waiting === BATCH) {
              log = logOf();
              waiting = 0;
            }
            waiting += 1;
            log.record(outcome);
          }),
      },
      {
        name: 'pino, 64 KB buffer',
        run(iterations) {
          for (let i = 0; i < iterations; i++) buffered.info(rows[i & MASK]!);
        },
      },
      {
        name: 'pino, synchronous',
        run(iterations) {
          for (let i = 0; i < iterations; i++) direct.info(rows[i & MASK]!);
        },
      },
    ],
    { rounds: 31 },
  );
  printComparison('On the request path: noting one outcome', measurements, {
    'OutcomeLog.record': { ratio: 2 },
  });
}

async function benchBackground(): Promise<void> {
  const users = new UserHash();
  const hashOfUnit = unitHasher('async-upload');
  const context = {
    ...plainContext,
    hidden: (unit: string) => users.of(unit, hashOfUnit(unit)),
  };
  const log = logOf();
  const emptyStore = storeOf;
  await log.open({ folder: join(folder, 'background'), epoch: 1, now: START, emptyStore });
  log.start();
  await log.flush();
  let bytes = 0;
  const names = new RepeatedNames();
  const measurements = await compare(
    [
      {
        name: 'line of metrics.jsonl',
        run(iterations) {
          for (let i = 0; i < iterations; i++) bytes += jsonLineOf(rows[i & MASK]!, names).length;
        },
      },
      {
        name: 'hash of a user',
        run(iterations) {
          for (let i = 0; i < iterations; i++)
            bytes += context.hidden(pool[i & MASK]!.exposure.targetingKey!).length;
        },
      },
      {
        name: 'row, with the hash',
        run: (iterations) => each(iterations, (outcome) => rowOfOutcome(outcome, context)),
      },
      {
        name: 'line of metrics.csv',
        run(iterations) {
          for (let i = 0; i < iterations; i++) bytes += csvLineOf(rows[i & MASK]!, tableColumns).length;
        },
      },
      {
        name: 'all, to the disk, 4,000 a flush',
        async run(iterations) {
          for (let done = 0; done < iterations; done += BATCH) {
            each(Math.min(BATCH, iterations - done), (outcome) => log.record(outcome));
            await log.flush();
          }
        },
      },
    ],
    { rounds: 15, roundMs: 20 },
  );
  printComparison('In the background: writing one outcome', measurements);
  if (bytes < 0) throw new Error('the lines must not be optimised away');
  await log.close();
}

async function benchReading(): Promise<void> {
  const path = join(folder, 'read.jsonl');
  const names = new RepeatedNames();
  const lines = rows.map((row) => jsonLineOf(row, names));
  writeFileSync(path, lines.join('').repeat(16));
  const perFile = POOL * 16;
  const measurements = await compare(
    [
      {
        name: 'JSON.parse',
        run(iterations) {
          for (let i = 0; i < iterations; i++) JSON.parse(lines[i & MASK]!);
        },
      },
      {
        name: 'readOutcomeBatches',
        async run(iterations) {
          let read = 0;
          while (read < iterations) {
            for await (const rows of readOutcomeBatches(path)) {
              read += rows.length;
              if (read >= iterations) break;
            }
          }
        },
      },
    ],
    { rounds: 11, roundMs: 100 },
  );
  printComparison(`Reading one line (a file of ${perFile.toLocaleString('en')})`, measurements, {
    readOutcomeBatches: { ratio: 4 },
  });
}

function each(iterations: number, work: (outcome: Outcome) => void): void {
  for (let i = 0; i < iterations; i++) work(pool[i & MASK]!);
}

function storeOf(): MemoryOutcomeStore {
  return new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: [60_000, 1_800_000], now: START });
}

function logOf(): OutcomeLog {
  const store = storeOf();
  return new OutcomeLog({
    ...resolveLogOptions({ executionTypes, columns, maxFiles: 2, maxFileBytes: 16 * 1024 * 1024 }),
    flagKey: 'async-upload',
    clock: systemClock,
    dump: () => store.dump(START),
    onFault: (what, error) => console.error(what, error),
  });
}

function outcomeOf(index: number): Outcome {
  const failed = index % 20 === 0;
  const at = START + index;
  return {
    exposure: {
      flagKey: 'async-upload',
      arm: index % 2 === 0 ? 'treatment' : 'control',
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: `user-${index}`,
      epoch: 1,
      at: at - 120,
    },
    result: failed ? 'failure' : 'success',
    durationMs: 20 * 100 ** ((index * 0.618033988749895) % 1),
    errorType: failed ? 'ECONNRESET' : undefined,
    critical: false,
    fallbackUsed: failed,
    userSucceeded: true,
    attempts: 1,
    attributes: { file_size_mb: index / 100, provider: 's3', request_id: `request-${index}` },
    at,
  };
}
