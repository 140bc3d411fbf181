import { AuditLog } from '../../journal/audit-log.js';
import type { OpenFolder } from '../../journal/guard-folder.js';
import { Journal, type JournalEntry } from '../../journal/journal.js';
import type { GuardEvent, GuardListener } from '../../model/event.js';
import { entryOf } from '../../model/event-table.js';
import type { GuardedFlag, GuardFigures, GuardObserver } from '../../model/observer.js';
import type { Outcome } from '../../model/shapes.js';
import { runCallback } from '../../support/async/callbacks.js';
import type { Clock } from '../../support/clock.js';
import { withDeadline } from '../../support/deadline.js';
import { UnusableFileError } from '../../support/files.js';
import type { Logger } from '../../support/logger.js';
import { Outages } from './outages.js';

/** A save that takes longer than this no longer delays a stop. */
const DISK_TIMEOUT_MS = 2_000;

/** Events before the folder is open; they are written then. */
const MAX_EARLY_EVENTS = 1_000;

const SAVING = 'writing the journal';

/** One of so many calls of `upkeep` checks that the journal is there: a process may have a thousand. */
const CHECK_EVERY = 4;

/**
 * Everything that a guard records and reports: journal, audit log, logger, listeners and observers. None of them can fail
 * or delay the guard: an outage is reported, and the rest continues.
 */
export class GuardRecords {
  readonly #logger: Logger;
  readonly #flag: GuardedFlag;
  /** Each with its name in faults. */
  readonly #listeners = new Map<GuardListener, string>();
  readonly #observers: readonly (readonly [what: string, observer: GuardObserver])[];
  readonly #outages: Outages;
  #journal: Journal | undefined;
  #audit: AuditLog | undefined;
  /** Undefined when nothing is written to disk, or the folder is open. */
  #early: GuardEvent[] | undefined;
  #saved: Promise<void> = Promise.resolve();
  #upkeeps = 0;
  /** What the journal must contain, and whether it does. */
  #latest: { readonly entry: JournalEntry; isSaved: boolean } | undefined;

  constructor(options: {
    readonly flagKey: string;
    readonly folder: string | false;
    /** Where the flag is in Unleash. */
    readonly unleash: { readonly project: string; readonly environment: string };
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onEvent?: GuardListener | undefined;
    readonly observers?: readonly GuardObserver[] | undefined;
  }) {
    const { folder, flagKey, unleash, onEvent, observers = [] } = options;
    this.#logger = options.logger;
    const flag = { flagKey, project: unleash.project, environment: unleash.environment };
    this.#flag = flag;
    this.#outages = new Outages(options.clock, (event) => this.emit(event));
    if (onEvent) this.listen(onEvent);
    this.#observers = observers.map((observer, index) => [`observers[${index}]`, observer]);
    for (const [what, observer] of this.#observers) {
      this.#listeners.set((event) => observer.event?.(event, flag), what);
    }
    if (folder !== false) this.#early = [];
  }

  /**
   * Begins to write into a folder, or to nowhere.
   *
   * @returns what the previous run left there; undefined when there is nothing, or when it cannot be read, which is a fault.
   */
  async open(folder: OpenFolder | undefined): Promise<JournalEntry | undefined> {
    const early = this.#early ?? [];
    this.#early = undefined;
    if (folder === undefined) return undefined;
    const { path } = folder;
    const what = 'writing the audit log';
    this.#journal = new Journal(path, folder);
    this.#audit = new AuditLog(
      path,
      this.#flag.flagKey,
      {
        onFault: (error) => this.fault(what, error),
        onWritten: () => this.works(what),
        onGone: () =>
          this.fault('keeping the audit log', `audit.jsonl in ${path} was removed or moved away.`),
      },
      folder,
    );
    for (const event of early) this.#audit.append(event);
    const reading = 'reading the journal';
    try {
      return await this.#journal.load();
    } catch (error) {
      const isUnusable = error instanceof UnusableFileError;
      this.fault(reading, isUnusable ? await this.#setAside(this.#journal, error) : error);
      return undefined;
    }
  }

  /** Adds a listener; the returned function removes it. */
  listen(listener: GuardListener): () => void {
    this.#listeners.set(listener, 'a listener');
    return () => this.#listeners.delete(listener);
  }

  /** Sends an event to the audit log, the logger, every listener and every observer. */
  emit(event: GuardEvent): void {
    if (this.#early !== undefined && this.#early.length < MAX_EARLY_EVENTS) this.#early.push(event);
    this.#audit?.append(event);
    const { level, line } = entryOf(event).log(event);
    this.#logger[level](event, line);
    for (const [listener, what] of this.#listeners) this.safely(what, () => listener(event));
  }

  /** The guard starts: observers may read where it stands. */
  started(figures: () => GuardFigures): void {
    for (const [what, observer] of this.#observers) {
      this.safely(what, () => observer.started?.(this.#flag, figures));
    }
  }

  /** Shows one outcome to the observers. */
  outcome(outcome: Outcome): void {
    for (const [what, observer] of this.#observers) {
      this.safely(what, () => observer.outcome?.(outcome, this.#flag));
    }
  }

  /** Reports that something other than the stop itself does not work: when that begins, and each hour while it lasts. */
  readonly fault = (what: string, error: unknown): void => {
    this.#outages.failed(what, error);
  };

  /** Something works, perhaps again: a fault after this is a new one. */
  readonly works = (what: string): void => {
    this.#outages.worked(what);
  };

  /** A fault of a part that reports each outage once, by itself. */
  readonly outage = (what: string, error: unknown): void => {
    this.#outages.failed(what, error, true);
  };

  /** Runs what has no caller to catch its errors: one that is thrown, or that its promise rejects with, becomes a fault. */
  safely(what: string, run: () => unknown): void {
    runCallback(what, run, this.fault);
  }

  /** Begins to write the guard's state to disk. */
  save(entry: JournalEntry): void {
    this.#latest = { entry: { ...entry, ...this.#flag }, isSaved: false };
    this.#saveLatest();
  }

  /**
   * Called about once a second: writes what could not be written before, and what was removed. A pending stop must not be
   * lost because the disk was full at that moment.
   */
  async upkeep(): Promise<void> {
    await this.#audit?.upkeep();
    if (this.#latest === undefined) return;
    const { isSaved } = this.#latest;
    if (this.#journal === undefined || (isSaved && this.#upkeeps++ % CHECK_EVERY !== 0)) return;
    if (isSaved && (await this.#journal.isThere())) return;
    if (isSaved) this.fault('keeping the journal', `${this.#journal.path} was removed.`);
    this.#saveLatest();
    await this.#saved;
  }

  /** Whether what was to be saved last is on disk. */
  get isSaved(): boolean {
    return this.#latest?.isSaved !== false;
  }

  /** Resolves when the last `save` is on disk or has failed, at the latest after two seconds. */
  async saved(): Promise<void> {
    await withDeadline(DISK_TIMEOUT_MS, undefined, () => this.#saved).catch(() => {});
  }

  /** Resolves when everything emitted and saved so far is on disk or has failed. */
  async flush(): Promise<void> {
    await Promise.all([this.saved(), this.#audit?.flushed()]);
  }

  /** Resolves when everything emitted and saved so far is on disk or has failed, and files are closed. */
  async close(): Promise<void> {
    await Promise.all([this.#saved, this.#audit?.close()]);
  }

  /** @returns what is lost, and where the file is. */
  async #setAside(journal: Journal, { message }: UnusableFileError): Promise<string> {
    const place = await journal.setAside().then(
      (path) => `It is kept as ${path}.`,
      () => 'It is set aside before a new one is written.',
    );
    return `${message}. ${place} The guard starts armed; whether an earlier run had decided to stop the flag is not known, so check the flag in Unleash.`;
  }

  #saveLatest(): void {
    const latest = this.#latest;
    this.safely(SAVING, () => {
      if (this.#journal === undefined || latest === undefined) return undefined;
      const saved = this.#journal.save(latest.entry).then(() => {
        latest.isSaved = true;
        this.works(SAVING);
      });
      this.#saved = saved.catch(() => {});
      return saved;
    });
  }
}
