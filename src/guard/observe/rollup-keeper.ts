import { join } from 'node:path';
import type { OpenFolder } from '../../journal/guard-folder.js';
import { resolveLogOptions } from '../../log/log-options.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import { servedPercentage } from '../../model/flags.js';
import { HistoryReader } from '../../rollups/history-reader.js';
import type { RolloutHistory, WantedHistory } from '../../rollups/rollup.js';
import { RollupBook } from '../../rollups/rollup-book.js';
import { RollupFiles } from '../../rollups/rollup-files.js';
import { lineOfRollup } from '../../rollups/rollup-line.js';
import { RollupRecorder } from '../../rollups/rollup-recorder.js';
import { summaryOf } from '../../rollups/summary.js';
import { replaceFile } from '../../support/files.js';
import type { GuardContext } from '../context/guard-context.js';
import type { Evaluator } from '../evaluate/evaluator.js';
import type { GuardMachine } from '../guard-machine.js';
import type { OutcomeRecorder } from './outcome-recorder.js';

const SUMMARY_FILE = 'summary.json';
const READING = 'reading the rollups';
const WRITING = 'writing the rollups';
/** How often a history is read again, because something was written meanwhile. */
const ATTEMPTS = 3;

/** What a {@link RollupKeeper} works with. */
interface Kept {
  readonly context: GuardContext;
  /** What this process records. */
  readonly own: MemoryOutcomeStore;
  readonly machine: GuardMachine;
  readonly evaluator: Evaluator;
  readonly recorder: OutcomeRecorder;
}

/**
 * Writes the rollups of what this process recorded into the guard's folder, and `summary.json`: when a minute is over, and every
 * {@link ResolvedLogOptions.summaryMs} meanwhile, which is what a crash loses at most. Folders of several processes add up.
 */
export class RollupKeeper {
  /** They share one exit listener, since Node warns of more than ten. */
  static readonly #open = new Set<RollupKeeper>();
  readonly #kept: Kept;
  readonly #saveMs: number;
  readonly #recorder: RollupRecorder;
  #folder: OpenFolder | undefined;
  #files: RollupFiles | undefined;
  #reader: HistoryReader | undefined;
  #isClosed = false;
  #writing: Promise<void> | undefined;
  /** Of the book, that is on disk. */
  #written = -1;
  /** By the monotonic clock. */
  #takenAt = Number.NEGATIVE_INFINITY;

  constructor(kept: Kept) {
    const { context, own, machine, evaluator } = kept;
    const { log, records, serviceVersion } = context;
    this.#kept = kept;
    this.#saveMs = (log === false ? resolveLogOptions() : log).summaryMs;
    this.#recorder = new RollupRecorder(new RollupBook(), {
      takeTally: (now) => own.takeTally(now),
      epoch: () => machine.epoch,
      percentage: () => servedPercentage(context.flagFacts()),
      verdicts: () => evaluator.verdicts,
      serviceVersions: () => (serviceVersion === undefined ? [] : [serviceVersion]),
    });
    records.listen((event) => this.#recorder.book.mark(event));
  }

  /** Reads what an earlier run left. Without a folder nothing is kept. */
  async open(folder: OpenFolder | undefined): Promise<void> {
    if (folder === undefined) return;
    const { flagKey, records } = this.#kept.context;
    this.#folder = folder;
    const onGone = (path: string) =>
      records.fault('keeping the rollups', `${path} was removed or cut; what was in it is lost.`);
    this.#files = new RollupFiles(folder.path, flagKey, folder, onGone);
    try {
      const left = await this.#files.open();
      if (left !== undefined) this.#recorder.book.restore(left);
    } catch (error) {
      records.fault(READING, error);
    }
    if (RollupKeeper.#open.size === 0) process.on('exit', RollupKeeper.#writeAllAtExit);
    RollupKeeper.#open.add(this);
  }

  /** Called on every tick. */
  tick(): void {
    const { clock } = this.#kept.context;
    const isMinuteOver = this.#recorder.tick(clock.now());
    // What waits to be written is all that there is without a folder.
    if (this.#files === undefined) {
      if (isMinuteOver) this.#recorder.take(clock.now());
      return;
    }
    const isTime = clock.monotonic() - this.#takenAt >= this.#saveMs;
    if (isMinuteOver || isTime || this.#recorder.book.pending.length > 0) void this.#write();
  }

  /** The rollout up to this moment: what is on disk, what waits to be written, and the running minute. */
  async history(request: WantedHistory): Promise<RolloutHistory> {
    const { book } = this.#recorder;
    this.#reader ??= new HistoryReader(this.#folder?.path);
    for (let attempt = 1; ; attempt++) {
      await this.#writing;
      const written = this.#written;
      if (!this.#isClosed) this.#recorder.take(this.#kept.context.clock.now());
      const unwritten = { pending: book.pending, running: book.running.map(lineOfRollup) };
      const history = await this.#reader.read(request, unwritten).catch((error) => {
        // What this process knows is shown though its folder cannot be read.
        this.#kept.context.records.fault(READING, error);
        return new HistoryReader(undefined).read(request, unwritten);
      });
      // What was written meanwhile may be missing, or there twice.
      if (written === this.#written || attempt === ATTEMPTS) return history;
    }
  }

  /** Writes what was counted so far. */
  async flush(): Promise<void> {
    if (this.#files === undefined) return;
    await this.#writing;
    await this.#write();
  }

  /** Writes everything, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#files === undefined) return;
    await this.flush();
    RollupKeeper.#open.delete(this);
    if (RollupKeeper.#open.size === 0) process.removeListener('exit', RollupKeeper.#writeAllAtExit);
    this.#files = undefined;
  }

  /** Resolves when it is on disk, or could not be written, which is reported. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeNow().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeNow(): Promise<void> {
    const { clock, records } = this.#kept.context;
    const { book } = this.#recorder;
    try {
      this.#takenAt = clock.monotonic();
      this.#recorder.take(clock.now());
      const { revision } = book;
      if (revision === this.#written) return;
      const pending = [...book.pending];
      await this.#files!.write({ book: book.toState(), pending });
      book.written(pending);
      await this.#writeSummary();
      this.#written = revision;
      records.works(WRITING);
    } catch (error) {
      records.fault(WRITING, error);
    }
  }

  async #writeSummary(): Promise<void> {
    const { context, recorder } = this.#kept;
    const { total, firstOutcomeAt, lastOutcomeAt } = this.#recorder.book;
    const { executionTypes } = context.log === false ? resolveLogOptions() : context.log;
    const summary = summaryOf({
      flagKey: context.flagKey,
      updatedAt: context.clock.now(),
      total,
      firstOutcomeAt,
      lastOutcomeAt,
      droppedLines: recorder.droppedLines,
      executionTypes,
    });
    const path = join(this.#folder!.path, SUMMARY_FILE);
    // After a power cut it is made again from the rollups, by the next run.
    const options = { mode: this.#folder!.mode, permit: this.#folder!.permit, isDurable: false };
    await replaceFile(path, `${JSON.stringify(summary, undefined, 2)}\n`, options);
  }

  static #writeAllAtExit(): void {
    for (const keeper of RollupKeeper.#open) {
      try {
        const { book } = keeper.#recorder;
        keeper.#recorder.take(keeper.#kept.context.clock.now());
        keeper.#files?.writeSync({ book: book.toState(), pending: book.pending });
      } catch {
        // It is too late to report it, and the others must be written.
      }
    }
  }
}
