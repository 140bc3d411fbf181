import { Outages } from '../../src/guard/context/outages.js';
import { type OutcomeLogOptions, resolveLogOptions } from '../../src/log/log-options.js';
import type { OutcomeRow } from '../../src/log/log-row-schema.js';
import { OutcomeLog } from '../../src/log/outcome-log.js';
import { readOutcomeLog } from '../../src/log/read-log.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Outcome } from '../../src/model/shapes.js';
import { START } from '../measure/outcomes.js';

export const WINDOWS_MS = [60_000, 1_800_000];

/** A store and a log that record the same outcomes, as in a guard. */
export interface Logging {
  readonly log: OutcomeLog;
  readonly store: MemoryOutcomeStore;
  readonly faults: string[];
  /** The clock. */
  time: { now: number };
  record(outcome: Outcome): void;
}

/** The attributes that the preset gives a column of their own. */
export const ATTRIBUTE_COLUMNS = ['file_size_mb', 'provider', 'request_id'];

/** Starts a run as a guard with the preset's columns does. */
export async function startLogging(
  folder: string,
  { epoch = 1, now = START, oldestEpoch, ...options }: OutcomeLogOptions & RunFacts = {},
): Promise<Logging> {
  const time = { now };
  const clock = { now: () => time.now, monotonic: () => time.now };
  const faults: string[] = [];
  const outages = new Outages(clock, (event) => {
    if (event.type === 'fault') faults.push(`${event.what}: ${event.message}`);
  });
  const emptyStore = (startedAt: number) =>
    new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: WINDOWS_MS, now: startedAt });
  const store = emptyStore(now);
  store.beginEpoch(epoch, now, { keepWindows: true });
  const log = new OutcomeLog({
    ...resolveLogOptions({ columns: ATTRIBUTE_COLUMNS, ...options }),
    flagKey: 'async-upload',
    clock,
    dump: () => store.dump(time.now),
    activity: () => store.dumpActivity(time.now),
    onFault: (what, error) => outages.failed(what, error),
    onWorks: (what) => outages.worked(what),
  });
  const dump = await log.open({ folder, epoch, oldestEpoch, emptyStore, now });
  if (dump !== undefined) store.restore(dump, now);
  log.rollout(epoch, 10);
  log.start();
  return {
    log,
    store,
    faults,
    time,
    record(outcome) {
      store.record(outcome);
      log.record(outcome);
    },
  };
}

interface RunFacts {
  readonly epoch?: number;
  readonly oldestEpoch?: number;
  readonly now?: number;
}

export async function rowsIn(folder: string): Promise<OutcomeRow[]> {
  const rows: OutcomeRow[] = [];
  const options = {
    onProblem: ({
      file,
      line,
      reason,
      used,
    }: {
      file: string;
      line: number;
      reason: string;
      used: boolean;
    }) => {
      if (!used) throw new Error(`${file}:${line} ${reason}`);
    },
  };
  for await (const row of readOutcomeLog(folder, options)) rows.push(row);
  return rows;
}

/** A reader of CSV (RFC 4180) that shares nothing with the writer. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!;
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[index + 1] === '"') cell += text[++index];
      else quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === ',' || character === '\n') {
      cells.push(cell);
      cell = '';
      if (character === ',') continue;
      rows.push(cells);
      cells = [];
    } else cell += character;
  }
  if (cell !== '' || cells.length > 0) throw new Error('the last line has no end');
  return rows;
}
