import { AuditLog } from '../../journal/audit-log.js';
import { Journal, type JournalEntry } from '../../journal/journal.js';
import type { GuardEvent, GuardListener } from '../../model/event.js';
import { entryOf } from '../../model/event-table.js';
import type { GuardObserver } from '../../model/observer.js';
import type { Outcome } from '../../model/shapes.js';
import type { Clock } from '../../support/clock.js';
import type { Logger } from '../../support/logger.js';
import { Observers } from './observers.js';

/** A save that takes longer than this no longer delays a stop. */
const DISK_TIMEOUT_MS = 2_000;

/**
 * Everything that a guard records and reports: journal, audit log, logger, listeners and observers. None of them can fail
 * or delay the guard: a fault is reported once, and the rest continues.
 */
export class GuardRecords {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<GuardListener>();
  readonly #journal: Journal | undefined;
  readonly #audit: AuditLog | undefined;
  readonly #reportedFaults = new Set<string>();
  readonly #observers: Observers;
  #saved: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly flagKey: string;
    readonly folder: string | false;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onEvent: GuardListener | undefined;
    readonly observers?: readonly GuardObserver[] | undefined;
  }) {
    const { folder, flagKey, observers = [] } = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    if (options.onEvent) this.#listeners.add(options.onEvent);
    this.#observers = new Observers(flagKey, observers, (what, error) => this.fault(what, error));
    this.listen((event) => this.#observers.event(event));
    if (folder === false) return;
    this.#journal = new Journal(folder);
    this.#audit = new AuditLog(folder, options.flagKey, (error) =>
      this.fault('writing the audit log', error),
    );
  }

  /** Adds a listener; the returned function removes it. */
  listen(listener: GuardListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends an event to the audit log, the logger and every listener. */
  emit(event: GuardEvent): void {
    this.#audit?.append(event);
    const { level, line } = entryOf(event).log(event);
    this.#logger[level](event, line);
    for (const listener of this.#listeners) {
      try {
        const result: unknown = listener(event);
        // An async function is a listener too, and an unhandled rejection would end the process.
        if (result instanceof Promise) result.catch((error) => this.fault('a listener', error));
      } catch (error) {
        this.fault('a listener', error);
      }
    }
  }

  /** Shows one outcome to the observers. */
  outcome(outcome: Outcome): void {
    this.#observers.outcome(outcome);
  }

  /** Reports, once for each `what`, that something beside the stop itself does not work. */
  fault(what: string, error: unknown): void {
    if (this.#reportedFaults.has(what)) return;
    this.#reportedFaults.add(what);
    const message = error instanceof Error ? error.message : String(error);
    this.emit({ type: 'fault', at: this.#clock.now(), what, message });
  }

  /** Runs what has no caller that could catch anything: what escaped would end the process. */
  safely(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fault(what, error);
    }
  }

  /** What the previous run left; undefined when there is nothing, or when it cannot be read, which is a fault. */
  async load(): Promise<JournalEntry | undefined> {
    try {
      return await this.#journal?.load();
    } catch (error) {
      this.fault('reading the journal', error);
      return undefined;
    }
  }

  /** Begins to write the guard's state to disk. */
  save(entry: JournalEntry): void {
    if (this.#journal === undefined) return;
    try {
      this.#saved = this.#journal.save(entry).catch((error) => this.fault('writing the journal', error));
    } catch (error) {
      this.fault('writing the journal', error);
    }
  }

  /** Resolves when the last `save` is on disk or has failed, at the latest after two seconds. */
  async saved(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DISK_TIMEOUT_MS);
    });
    await Promise.race([this.#saved, timeout]);
    clearTimeout(timer);
  }

  /** Resolves when everything emitted and saved so far is on disk or has failed. */
  async settled(): Promise<void> {
    await Promise.all([this.#saved, this.#audit?.flushed()]);
  }
}
