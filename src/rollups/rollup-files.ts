import { renameSync, writeFileSync } from 'node:fs';
import { constants, type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import {
  makeFolder,
  OWN_FILES,
  UnusableFileError,
  unlessMissing,
  VersionedFile,
  type WriteOptions,
} from '../support/files.js';
import type { BookState } from './book-state.js';
import {
  bookStateSchema,
  type PendingLine,
  pendingLineSchema,
  SERIES,
  type SeriesName,
} from './book-state.js';
import type { KeptHistory, KeptSeries } from './history.js';

/** The folder of the rollups within a guard's. */
const FOLDER = 'rollups';
/** What is replaced with every write, within a guard's folder. */
export const ROLLUPS_STATE = join(FOLDER, 'state.json');
const STATE_VERSION = 1;
/** Of each list: the oldest is deleted as a whole. */
const SEGMENTS = 5;

const count = z.int().min(0);

const segmentSchema = z.lazy(() =>
  z
    .object({
      number: z.int().min(1),
      lines: count,
      /** Up to here the file is part of the list; what is after it was written just before a crash. */
      bytes: count,
      /** The latest end of its lines. */
      end: z.number(),
    })
    .readonly(),
);

type Segment = z.infer<typeof segmentSchema>;

const seriesSchema = z.lazy(() =>
  z.object({ segments: z.array(segmentSchema).readonly(), removedUpTo: z.number().optional() }).readonly(),
);

type Series = z.infer<typeof seriesSchema>;

const EMPTY: Series = { segments: [] };

const layoutSchema = z.record(z.enum(SERIES.map(({ name }) => name)), seriesSchema);

type Layout = Record<SeriesName, Series>;

const stateSchema = z.lazy(() =>
  z.object({
    flagKey: z.string(),
    layout: layoutSchema,
    book: bookStateSchema,
    /** Lines that are in no file yet. */
    pending: z.array(pendingLineSchema).readonly(),
  }),
);

type State = z.infer<typeof stateSchema>;

/** What is written at once. */
interface Written {
  readonly book: BookState;
  readonly pending: readonly PendingLine[];
}

/**
 * The rollups of one guard's folder: `rollups/state.json`, and files of lines for each list, for example `rollups/minutes.000001.jsonl`.
 *
 * The state is what counts: it says up to which byte each file belongs to the rollout, and has what is still running. It is replaced as a
 * whole after the lines were written, so that a crash at any moment leaves the state of before or the one after. What is after a
 * file's last byte then is overwritten.
 */
export class RollupFiles {
  readonly #folder: string;
  readonly #flagKey: string;
  readonly #options: WriteOptions;
  #state: VersionedFile<State>;
  readonly #onGone: (path: string) => void;
  #layout: Layout = emptyLayout();
  /** Whether the last write succeeded: the folder is this guard's. */
  #isWritable = false;

  /**
   * @param folder - The guard's folder.
   * @param onGone - Called with the path of a file that was removed or cut.
   */
  constructor(folder: string, flagKey: string, options: WriteOptions, onGone: (path: string) => void) {
    this.#folder = join(folder, FOLDER);
    this.#flagKey = flagKey;
    this.#options = options;
    this.#state = stateFile(folder, options);
    this.#onGone = onGone;
  }

  /**
   * What an earlier run left; undefined when there is nothing.
   * @throws when it cannot be read. What is unusable, or of another flag, is set aside as a whole, and rollups begin anew.
   */
  async open(): Promise<Written | undefined> {
    let why: string;
    try {
      const state = await this.#state.load();
      if (state === undefined) return undefined;
      if (state.flagKey === this.#flagKey) {
        this.#layout = { ...emptyLayout(), ...state.layout };
        return state;
      }
      why = `${this.#state.path} has the rollups of the flag ${state.flagKey}`;
    } catch (error) {
      if (!(error instanceof UnusableFileError)) throw error;
      why = error.message;
    }
    await this.#options.permit?.();
    this.#state = stateFile(dirname(this.#folder), this.#options);
    throw new Error(`${why}. It is kept in ${await setAsideFolder(this.#folder)}, and rollups begin anew.`);
  }

  /** Writes lines and state together. @throws when that failed; then nothing was written, and all of it is to be written again. */
  async write({ book, pending }: Written): Promise<void> {
    this.#isWritable = false;
    await this.#options.permit?.();
    const layout = { ...this.#layout };
    const removed: string[] = [];
    for (const { name, maxLines } of SERIES) {
      const lines = pending.filter(({ series }) => series === name);
      if (lines.length === 0) continue;
      layout[name] = await this.#append(name, lines, Math.ceil(maxLines / SEGMENTS), removed);
    }
    await this.#state.save({ flagKey: this.#flagKey, layout, book, pending: [] });
    this.#layout = layout;
    this.#isWritable = true;
    for (const path of removed) await rm(path, { force: true }).catch(() => {});
  }

  /** As `write`, for the last moment of a process: everything goes into the state. */
  writeSync({ book, pending }: Written): void {
    if (!this.#isWritable) return;
    const state = { version: STATE_VERSION, flagKey: this.#flagKey, layout: this.#layout, book, pending };
    const draft = `${this.#state.path}.exit`;
    writeFileSync(draft, `${JSON.stringify(state)}\n`, { mode: this.#options.mode ?? OWN_FILES });
    renameSync(draft, this.#state.path);
  }

  async #append(
    name: SeriesName,
    pending: readonly PendingLine[],
    segmentLines: number,
    removed: string[],
  ): Promise<Series> {
    const { segments, removedUpTo } = this.#layout[name];
    const kept = [...segments];
    for (let next = 0; next < pending.length; ) {
      let last = kept.pop();
      if (last === undefined || last.lines >= segmentLines) {
        if (last !== undefined) kept.push(last);
        last = { number: (last?.number ?? 0) + 1, lines: 0, bytes: 0, end: Number.MIN_SAFE_INTEGER };
      }
      const part = pending.slice(next, next + segmentLines - last.lines);
      kept.push(await this.#write(name, last, part));
      next += part.length;
    }
    const surplus = kept.splice(0, Math.max(0, kept.length - SEGMENTS));
    for (const { number } of surplus) removed.push(segmentPath(this.#folder, name, number));
    const ends = surplus.map(({ end }) => end);
    return {
      segments: kept,
      ...(removedUpTo === undefined && ends.length === 0
        ? {}
        : { removedUpTo: Math.max(removedUpTo ?? Number.NEGATIVE_INFINITY, ...ends) }),
    };
  }

  async #write(name: SeriesName, segment: Segment, pending: readonly PendingLine[]): Promise<Segment> {
    const path = segmentPath(this.#folder, name, segment.number);
    const { mode = OWN_FILES } = this.#options;
    await makeFolder(this.#folder, mode);
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, mode);
    try {
      const { size } = await handle.stat();
      let { bytes } = segment;
      if (size < bytes) {
        // Without an end, the next line would be lost with the last one.
        bytes = size === 0 ? 0 : size + (await writeAll(handle, Buffer.from('\n'), size));
        this.#onGone(path);
      } else if (size > bytes) await handle.truncate(bytes);
      const data = Buffer.from(pending.map(({ line }) => `${line}\n`).join(''));
      await writeAll(handle, data, bytes);
      // Before the state, which would else be ahead of it after a power cut.
      await handle.datasync();
      return {
        number: segment.number,
        lines: segment.lines + pending.length,
        bytes: bytes + data.length,
        end: Math.max(segment.end, ...pending.map(({ end }) => end)),
      };
    } finally {
      await handle.close();
    }
  }
}

async function writeAll(handle: FileHandle, data: Buffer, position: number): Promise<number> {
  for (let written = 0; written < data.length; ) {
    written += (await handle.write(data, written, data.length - written, position + written)).bytesWritten;
  }
  return data.length;
}

function stateFile(folder: string, options?: WriteOptions): VersionedFile<State> {
  return new VersionedFile(join(folder, FOLDER, 'state.json'), STATE_VERSION, stateSchema, options);
}

function segmentPath(folder: string, name: SeriesName, number: number): string {
  return join(folder, `${name}.${String(number).padStart(6, '0')}.jsonl`);
}

function emptyLayout(): Layout {
  return { minutes: EMPTY, 'ten-minutes': EMPTY, hours: EMPTY, annotations: EMPTY };
}

/** Renames `rollups` to `rollups.unreadable-1`, or the first such name that is free. */
async function setAsideFolder(folder: string): Promise<string> {
  for (let number = 1; ; number++) {
    const aside = `${folder}.unreadable-${number}`;
    if ((await unlessMissing(stat(aside))) !== undefined) continue;
    await rename(folder, aside);
    return aside;
  }
}

/** How often reading begins anew, because the guard deleted a file meanwhile. */
const ATTEMPTS = 3;

/**
 * What a guard's folder has, while the guard writes or after its end; undefined when it has no rollups.
 * @throws `UnusableFileError` when the state is damaged, or of another version.
 */
export async function readKept(folder: string): Promise<KeptHistory | undefined> {
  for (let attempt = 1; ; attempt++) {
    const state = await stateFile(folder).load();
    if (state === undefined) return undefined;
    const layout = { ...emptyLayout(), ...state.layout };
    const kept = await Promise.all(SERIES.map(({ name }) => linesOfSeries(folder, name, layout[name])));
    if (attempt < ATTEMPTS && kept.some(({ isWhole }) => !isWhole)) continue;
    const of = (name: SeriesName): KeptSeries => {
      const index = SERIES.findIndex((each) => each.name === name);
      const waiting = state.pending.flatMap(({ series, line }) => (series === name ? line : []));
      return { lines: [...kept[index]!.lines, ...waiting], removedUpTo: layout[name].removedUpTo };
    };
    return {
      series: {
        minutes: of('minutes'),
        'ten-minutes': of('ten-minutes'),
        hours: of('hours'),
        annotations: of('annotations'),
      },
      running: state.book.running,
    };
  }
}

async function linesOfSeries(folder: string, name: SeriesName, { segments }: Series) {
  const lines: string[] = [];
  let isWhole = true;
  for (const { number, bytes } of segments) {
    const data = await unlessMissing(readFile(segmentPath(join(folder, FOLDER), name, number)));
    isWhole &&= data !== undefined && data.length >= bytes;
    for (const line of data?.toString('utf8', 0, Math.min(bytes, data.length)).split('\n') ?? []) {
      if (line !== '') lines.push(line);
    }
  }
  return { lines, isWhole };
}
