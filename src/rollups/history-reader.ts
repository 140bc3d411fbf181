import { stat } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { unlessMissing } from '../support/files.js';
import { type PendingLine, SERIES, type SeriesName } from './book-state.js';
import { historyOf, type KeptHistory } from './history.js';
import type { Annotation, RolloutHistory, Rollup, TimeRange, WantedHistory } from './rollup.js';
import { ROLLUPS_STATE, readKept } from './rollup-files.js';

/** No rollup reaches from one hour into the next. */
const HOUR_MS = 3_600_000;
/** Lines that are decoded in one turn of the event loop. */
const LINES_AT_ONCE = 64;
/** How long what was read is kept for the next reader, in milliseconds. */
const KEEP_MS = 60_000;

/** What a running guard has that is not on disk yet. */
export interface UnwrittenRollups {
  readonly pending: readonly PendingLine[];
  /** The rollups that are not over yet, as lines; those on disk are older. */
  readonly running: readonly string[];
}

interface Line {
  readonly at: number;
  readonly text: string;
}

type Lines = Readonly<Record<SeriesName, readonly Line[]>>;

/** One guard's rollups as they were read, undecoded. */
interface ReadRollups {
  readonly kept: KeptHistory | undefined;
  readonly lines: Lines;
}

/**
 * Reads one guard's rollups again and again, for a dashboard: files that have not changed are not read twice, and decoding three weeks
 * never holds up the event loop for long.
 */
export class HistoryReader {
  /** Undefined: nothing is on disk. */
  readonly #folder: string | undefined;
  #read: (ReadRollups & { readonly stamp: string }) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /** @throws `UnusableFileError` when the rollups are damaged, or of another version. */
  async read(wanted: WantedHistory = {}, unwritten?: UnwrittenRollups): Promise<RolloutHistory> {
    return decode(await this.#current(), wanted, unwritten);
  }

  async #current(): Promise<ReadRollups & { readonly stamp: string }> {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#read = undefined;
    }, KEEP_MS).unref();
    if (this.#folder === undefined) return { stamp: '', kept: undefined, lines: NO_LINES };
    const found = await unlessMissing(stat(`${this.#folder}/${ROLLUPS_STATE}`));
    const stamp = `${found?.mtimeMs} ${found?.size} ${found?.ino}`;
    if (this.#read?.stamp === stamp) return this.#read;
    const kept = await readKept(this.#folder);
    const lines = kept === undefined ? NO_LINES : keptLines(kept);
    this.#read = { stamp, kept, lines };
    return this.#read;
  }
}

/** What was kept anywhere, decoded without holding up the event loop for long; see {@link HistoryReader.read}. */
export function decodeHistory(
  kept: KeptHistory,
  wanted: WantedHistory,
  unwritten?: UnwrittenRollups,
): Promise<RolloutHistory> {
  return decode({ kept, lines: keptLines(kept) }, wanted, unwritten);
}

async function decode(
  { kept, lines }: ReadRollups,
  wanted: WantedHistory,
  unwritten: UnwrittenRollups | undefined,
): Promise<RolloutHistory> {
  const waiting = linesOf(unwritten?.pending ?? []);
  const all = (name: SeriesName) => [...lines[name], ...waiting[name]];
  const running = unwritten?.running ?? kept?.running ?? [];
  const rollups: Rollup[] = [];
  const annotations: Annotation[] = [];
  const tooShort = shorterThan(stepOf(all('hours'), running, wanted));
  const wantedLines = NAMES.map((name) => (tooShort.has(name) ? [] : all(name)));
  for (const part of partsOf(wantedLines, running, wanted)) {
    const within = (name: SeriesName) =>
      tooShort.has(name)
        ? // As if all of it had been removed: the longer ones have everything, too.
          { lines: [], removedUpTo: Number.POSITIVE_INFINITY }
        : {
            lines: all(name).flatMap(({ at, text }) => (isNear(at, part) ? text : [])),
            removedUpTo: kept?.series[name].removedUpTo,
          };
    const series = {
      minutes: within('minutes'),
      'ten-minutes': within('ten-minutes'),
      hours: within('hours'),
      annotations: within('annotations'),
    };
    const found = historyOf({ series, running }, part);
    rollups.push(...found.rollups);
    annotations.push(...found.annotations);
    await nextTurn();
  }
  return { rollups, annotations };
}

const NAMES = ['minutes', 'ten-minutes', 'hours', 'annotations'] as const satisfies readonly SeriesName[];
const NO_LINES: Lines = { minutes: [], 'ten-minutes': [], hours: [], annotations: [] };

function keptLines({ series }: KeptHistory): Lines {
  const of = (name: SeriesName) => series[name].lines.map(lineOf);
  return {
    minutes: of('minutes'),
    'ten-minutes': of('ten-minutes'),
    hours: of('hours'),
    annotations: of('annotations'),
  };
}

function linesOf(pending: readonly PendingLine[]): Lines {
  const of = (name: SeriesName) =>
    pending.flatMap(({ series, line }) => (series === name ? lineOf(line) : []));
  return {
    minutes: of('minutes'),
    'ten-minutes': of('ten-minutes'),
    hours: of('hours'),
    annotations: of('annotations'),
  };
}

/** Every line begins with its time; what does not is none of a guard's. */
function lineOf(text: string): Line {
  return { at: Number(/^\{"at":(\d+(?:\.\d+)?)[,}]/.exec(text)?.[1] ?? Number.NaN), text };
}

/** How long rollups may be. Hours are those of the whole rollout, and the running ones are the last. */
function stepOf(
  hours: readonly Line[],
  running: readonly string[],
  { from, to, stepFor }: WantedHistory,
): number {
  const times = [...hours.slice(0, 1), ...hours.slice(-1), ...running.map(lineOf)].map(({ at }) => at);
  if (stepFor === undefined || times.length === 0) return 0;
  const begin = Math.max(Math.min(...times), from ?? Number.NEGATIVE_INFINITY);
  const end = Math.min(Math.max(...times), to ?? Number.POSITIVE_INFINITY);
  return stepFor(Math.max(0, end - begin));
}

/** The lists whose rollups are shorter than need be. */
function shorterThan(stepMs: number): ReadonlySet<SeriesName> {
  const lengths = SERIES.filter(({ durationMs }) => durationMs > 0);
  const longest = lengths.findLast(({ durationMs }) => stepMs % durationMs === 0 && stepMs >= durationMs);
  const names = lengths.filter(({ durationMs }) => durationMs < (longest?.durationMs ?? 0));
  return new Set(names.map(({ name }) => name));
}

function isNear(at: number, { from, to }: Required<TimeRange>): boolean {
  return at >= from! - HOUR_MS && at < to!;
}

/** Parts of a range, each of whole hours with not too many lines. */
function partsOf(
  series: readonly (readonly Line[])[],
  running: readonly string[],
  { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }: TimeRange,
): Required<TimeRange>[] {
  const times = [...series.flat(), ...running.map(lineOf)].map(({ at }) => at);
  const hours = new Map<number, number>();
  for (const at of times) {
    const hour = Math.floor(at / HOUR_MS) * HOUR_MS;
    if (hour + HOUR_MS > from && hour < to) hours.set(hour, (hours.get(hour) ?? 0) + 1);
  }
  const parts: Required<TimeRange>[] = [];
  let begin: number | undefined;
  let count = 0;
  for (const hour of [...hours.keys()].sort((a, b) => a - b)) {
    begin ??= hour;
    count += hours.get(hour)!;
    if (count < LINES_AT_ONCE) continue;
    parts.push({ from: Math.max(begin, from), to: Math.min(hour + HOUR_MS, to) });
    begin = undefined;
    count = 0;
  }
  if (begin !== undefined) parts.push({ from: Math.max(begin, from), to });
  return parts;
}
