import { unitHasher } from '../measure/evidence/evidence-feed.js';
import type { StoreDump } from '../measure/outcome-delta.js';
import type { Outcome } from '../model/shapes.js';
import type { Clock } from '../support/clock.js';
import { type RestoreOptions, restoreOutcomes } from './checkpoint.js';
import { type LogFiles, type LogPlace, logFilesIn } from './log-files.js';
import type { ResolvedLogOptions } from './log-options.js';
import { csvLineOf, type RowContext, rowOfOutcome, type WrittenRow } from './log-row.js';
import { columnsWith, jsonLineOf, RepeatedNames } from './log-row-schema.js';
import { OutcomeSample, type SampledOutcome } from './outcome-sample.js';
import type { LogPosition } from './rotating-file.js';
import { UserHash } from './user-hash.js';

/** So many lines are made without a pause: about 2 ms. */
const LINES_AT_ONCE = 256;
/** After so many rounds without a line, the files are closed until the next one: a process may have a thousand logs. */
const IDLE_ROUNDS = 10;
/** Epochs whose percentage is remembered: late outcomes of older ones have none. */
const MAX_EPOCHS = 16;

const WRITING = 'writing the outcome log';
const READING = 'reading the outcomes of earlier runs';
const GONE = 'keeping the outcome log';

/** Options of {@link OutcomeLog}. */
interface OutcomeLogSettings extends ResolvedLogOptions {
  readonly flagKey: string;
  readonly clock: Clock;
  /** A number in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
  /** Everything in the store. Every outcome is recorded in the store and in the log within one turn. */
  readonly dump: () => StoreDump;
  /** Rises whenever a dump changes; undefined while time alone may change one. @default undefined */
  readonly activity?: (() => number | undefined) | undefined;
  /**
   * Called each time that the log cannot be written, the outcomes of earlier runs cannot be read, or a file is gone that was
   * there. Must not throw.
   */
  readonly onFault: (what: string, error: unknown) => void;
  /** Called when everything was written. Must not throw. */
  readonly onWorks?: ((what: string) => void) | undefined;
}

/**
 * What happened, outcome by outcome: `metrics.jsonl` and `metrics.csv`, and a checkpoint from which the
 * next run resumes.
 *
 * `record` puts the outcome into a bounded sample (see {@link OutcomeSample}) and does nothing else. Each second the sample is
 * written. A disk that is full or a folder that is read-only costs lines, whose outcomes are counted, and is reported once per outage;
 * the next flush retries. Files that were removed or moved away are begun anew by the next flush.
 *
 * The invariant of each write and restart: a checkpoint counts exactly the outcomes recorded up to its
 * position in the log, so checkpoint plus later lines is everything but the unwritten tail, and nothing twice. The table
 * may lack, for good, the last lines before a crash that `metrics.jsonl` has.
 */
export class OutcomeLog {
  /** They share one exit listener, since Node warns of more than ten. */
  static readonly #open = new Set<OutcomeLog>();
  readonly #settings: OutcomeLogSettings;
  /** Undefined before `open`. */
  #files: LogFiles | undefined;
  readonly #columns: readonly string[];
  readonly #users = new UserHash();
  readonly #percentages = new Map<number, number | undefined>();
  readonly #context: RowContext;
  /** Whether anything failed in the present round of writing, and in the latest attempt at a checkpoint. */
  #hasFailed = false;
  #hasCheckpointFailed = false;
  /** Recorded, not in a batch yet. */
  readonly #waiting: OutcomeSample;
  /** Being written; what is before `#next` has been given to the disk. */
  #batch: readonly SampledOutcome[] = [];
  #next = 0;
  #dropped = 0;
  /** What the lines of `metrics.jsonl` up to its end have said, and where that is. */
  #names: { readonly said: RepeatedNames; readonly upTo: LogPosition } | undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriteQueued = false;
  /** Rounds without a line. At the start they do not count. */
  #idleRounds = IDLE_ROUNDS;
  #isCheckpointWanted = false;
  /** Outcomes that the latest checkpoint does not count. */
  #isCheckpointStale = false;
  #checkpointAt = Number.NEGATIVE_INFINITY;
  /** The activity that the latest checkpoint counts. */
  #checkpointed: number | undefined;

  constructor(settings: OutcomeLogSettings) {
    this.#settings = settings;
    this.#columns = columnsWith(settings.columns);
    const { flushMs: takeMs, random = Math.random } = settings;
    this.#waiting = new OutcomeSample({ ...settings, takeMs, random });
    const hashOfUnit = unitHasher(settings.flagKey);
    this.#context = {
      executionTypes: settings.executionTypes,
      columns: settings.columns,
      percentageOf: (epoch) => this.#percentages.get(epoch),
      hidden: (unit) => this.#users.of(unit, hashOfUnit(unit)),
    };
  }

  /** Outcomes that were recorded and are missing in the log, those of earlier runs included. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /**
   * Repairs the files after a crash, and reads the outcomes of earlier runs. Outcomes may be recorded before: they wait.
   *
   * @returns what earlier runs counted in the epoch, for the store; undefined on a first start, or when it cannot be
   * read, which is reported.
   */
  async open(options: Omit<RestoreOptions, 'flagKey' | 'unitOf'> & LogPlace): Promise<StoreDump | undefined> {
    const { flagKey } = this.#settings;
    const { folder, mode, permit, ...earlier } = options;
    const place = { folder, mode, permit };
    const columns = this.#settings.csv ? this.#columns : undefined;
    const files = logFilesIn(place, columns, this.#settings, (path) => this.#beginAnew(path));
    this.#files = files;
    await Promise.all([
      this.#attempt(WRITING, () => this.#users.open(folder, place)),
      this.#attempt(WRITING, () => files.jsonl.open()),
      this.#attempt(WRITING, async () => files.csv?.open()),
    ]);
    const restored = await this.#attempt(READING, () =>
      restoreOutcomes(folder, { flagKey, unitOf: (text) => this.#users.unitOf(text), ...earlier }),
    );
    this.#dropped += restored?.droppedLines ?? 0;
    return restored?.store;
  }

  /**
   * Begins to write: at once, then each second. Call it after `open`, in the same turn in which the store restored
   * the result of `open`.
   */
  start(): void {
    if (OutcomeLog.#open.size === 0) process.on('exit', OutcomeLog.#writeAllAtExit);
    OutcomeLog.#open.add(this);
    this.#timer = setInterval(() => this.#write(), this.#settings.flushMs).unref();
    // Before the first line, so that a log without a checkpoint is one without lines.
    this.#checkpoint();
  }

  /** Sets the percentage of an epoch, for the lines of its outcomes. Call it in each new epoch. */
  rollout(epoch: number, percentage: number | undefined): void {
    const isNew = !this.#percentages.has(epoch);
    this.#percentages.set(epoch, percentage);
    if (!isNew) return;
    const [oldest] = this.#percentages.keys();
    if (this.#percentages.size > MAX_EPOCHS) this.#percentages.delete(oldest!);
    // The store's totals began at zero: after a crash they are those of this epoch.
    this.#checkpoint();
  }

  /** Notes an outcome; nothing after `close`. Touches memory only and never throws. */
  record(outcome: Outcome): void {
    if (this.#isClosed) return;
    this.#waiting.add(outcome);
  }

  /** Resolves when everything recorded so far has been written, or could not be. */
  async flush(): Promise<void> {
    this.#write();
    await this.#writing;
  }

  /** Writes everything, the checkpoint too unless it would say the same, and ends. One that was not started closes its files. */
  async close(): Promise<void> {
    if (!OutcomeLog.#open.has(this)) return this.#closeFiles();
    clearInterval(this.#timer);
    const activity = this.#settings.activity?.();
    const isCounted = activity !== undefined && activity === this.#checkpointed;
    if (isCounted && this.#waiting.isEmpty && !this.#isCheckpointStale) this.#write();
    else this.#checkpoint();
    // A file that is gone has a checkpoint more follow.
    for (let writing: Promise<void> | undefined; writing !== this.#writing; await writing)
      writing = this.#writing;
    OutcomeLog.#open.delete(this);
    if (OutcomeLog.#open.size === 0) process.removeListener('exit', OutcomeLog.#writeAllAtExit);
    this.#isClosed = true;
    await this.#closeFiles();
  }

  async #closeFiles(): Promise<void> {
    await Promise.all([this.#files?.jsonl.close(), this.#files?.csv?.close()]);
  }

  /** The position of the checkpoint is one in the old file, and with the folder the salt may be gone. */
  #beginAnew(path: string): void {
    this.#report(GONE, new Error(`${path} was removed or moved away; the log continues in a new file.`));
    const { place } = this.#files!;
    void this.#attempt(WRITING, () => this.#users.keep(place.folder, place));
    this.#checkpoint();
  }

  #checkpoint(): void {
    this.#isCheckpointWanted = true;
    this.#write();
  }

  /** Has what waits written after what is being written. */
  #write(): void {
    if (!OutcomeLog.#open.has(this) || this.#isWriteQueued) return;
    this.#isWriteQueued = true;
    this.#writing = this.#writing.then(() => this.#attempt(WRITING, () => this.#writeWaiting()));
  }

  async #writeWaiting(): Promise<void> {
    const { clock, dump, summaryMs } = this.#settings;
    this.#isWriteQueued = false;
    this.#hasFailed = false;
    const isTime = clock.monotonic() - this.#checkpointAt >= summaryMs;
    this.#isCheckpointStale ||= !this.#waiting.isEmpty;
    // In one turn, so that the dump counts the outcomes of the log up to this batch, and no other.
    this.#batch = this.#waiting.take(clock.monotonic());
    this.#next = 0;
    const dumped = this.#isCheckpointWanted || (this.#isCheckpointStale && isTime) ? dump() : undefined;
    const counted = dumped && this.#settings.activity?.();
    if (dumped !== undefined) {
      this.#isCheckpointWanted = false;
      this.#isCheckpointStale = false;
      this.#checkpointAt = clock.monotonic();
    }
    while (this.#next < this.#batch.length) {
      const outcomes = this.#batch.slice(this.#next, this.#next + LINES_AT_ONCE);
      this.#next += outcomes.length;
      await this.#writeLines(outcomes);
    }
    const hasWritten = this.#batch.length > 0;
    this.#batch = [];
    this.#next = 0;
    if (dumped !== undefined) {
      this.#hasCheckpointFailed = false;
      await this.#writeCheckpoint(dumped);
      this.#hasCheckpointFailed = this.#hasFailed;
      this.#checkpointed = this.#hasFailed ? undefined : counted;
    }
    this.#idleRounds = hasWritten ? 0 : this.#idleRounds + 1;
    if (this.#idleRounds >= IDLE_ROUNDS) await this.#closeFiles();
    if (hasWritten && !this.#hasFailed && !this.#hasCheckpointFailed) this.#settings.onWorks?.(WRITING);
  }

  async #writeLines(outcomes: readonly SampledOutcome[]): Promise<void> {
    const rows = this.#rowsOf(outcomes);
    const { jsonl, csv } = this.#files!;
    const known = this.#names;
    this.#names = undefined;
    try {
      let said = new RepeatedNames();
      await jsonl.append((position) => {
        // Another file, or one that another program has written to, says nothing of what it was not told here.
        said = known !== undefined && isSame(known.upTo, position) ? known.said : new RepeatedNames();
        return jsonLinesOf(rows, said);
      });
      this.#names = { said, upTo: jsonl.position };
    } catch (error) {
      this.#drop(
        rows.reduce((sum, { weight }) => sum + weight, 0),
        error,
      );
    }
    await this.#attempt(WRITING, async () => csv?.append(this.#csvLinesOf(rows)));
  }

  async #writeCheckpoint(store: StoreDump): Promise<void> {
    const { flagKey } = this.#settings;
    const { jsonl, checkpoints } = this.#files!;
    await this.#attempt(WRITING, async () => {
      // After a failed write this reads the file's end again: a remembered position could be wrong.
      await jsonl.open();
      // The log first: a checkpoint must not be ahead of it after a power cut.
      await jsonl.sync();
      const { position } = jsonl;
      await checkpoints.save({ flagKey, position, store, droppedLines: this.#dropped });
    });
  }

  static #writeAllAtExit(): void {
    for (const log of OutcomeLog.#open) {
      try {
        log.#writeAtExit();
      } catch {
        // It is too late to report it, and the other logs must be written.
      }
    }
  }

  /** The process exits without `close`: what waits is written now or never. */
  #writeAtExit(): void {
    const waiting = this.#waiting.take(this.#settings.clock.monotonic());
    const rows = this.#rowsOf([...this.#batch.slice(this.#next), ...waiting]);
    this.#files?.jsonl.appendSync(jsonLinesOf(rows, new RepeatedNames()));
    this.#files?.csv?.appendSync(this.#csvLinesOf(rows));
  }

  #csvLinesOf(rows: readonly WrittenRow[]): string {
    return rows.map((row) => csvLineOf(row, this.#columns)).join('');
  }

  #rowsOf(outcomes: readonly SampledOutcome[]): WrittenRow[] {
    const rows: WrittenRow[] = [];
    for (const { outcome, weight } of outcomes) {
      try {
        rows.push(rowOfOutcome(outcome, this.#context, weight));
      } catch (error) {
        this.#drop(weight, error);
      }
    }
    return rows;
  }

  async #attempt<Value>(what: string, work: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#report(what, error);
      return undefined;
    }
  }

  #drop(outcomes: number, error: unknown): void {
    this.#dropped += outcomes;
    this.#report(WRITING, error);
  }

  #report(what: string, error: unknown): void {
    this.#hasFailed = true;
    this.#settings.onFault(what, error);
  }
}

function jsonLinesOf(rows: readonly WrittenRow[], said: RepeatedNames): string {
  return rows.map((row) => jsonLineOf(row, said)).join('');
}

function isSame(a: LogPosition, b: LogPosition): boolean {
  return a.sequence === b.sequence && a.offset === b.offset;
}
