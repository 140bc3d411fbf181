import { AuditLog } from '../journal/audit-log.js';
import { Journal, type JournalEntry } from '../journal/journal.js';
import type { GuardEvent, GuardListener } from '../model/event.js';
import { entryOf } from '../model/event-table.js';
import type { GuardObserver } from '../model/observer.js';
import type { Outcome } from '../model/shapes.js';
import { messageOf, runCallback } from '../support/async/callbacks.js';
import type { Clock } from '../support/clock.js';
import { withDeadline } from '../support/deadline.js';
import type { Logger } from '../support/logger.js';

/** A save that takes longer than this no longer delays a stop. */
const DISK_TIMEOUT_MS = 2_000;

/**
 * Everything that a guard records and reports: journal, audit log, logger, listeners and observers. None of them can fail
 * or delay the guard: a fault is reported once, and the rest continues.
 */
export class GuardRecords {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Each with its name in faults. */
  readonly #listeners = new Map<GuardListener, string>();
  readonly #observers: readonly (readonly [what: string, observer: GuardObserver])[];
  readonly #journal: Journal | undefined;
  readonly #audit: AuditLog | undefined;
  readonly #reportedFaults = new Set<string>();
  #saved: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly flagKey: string;
    readonly folder: string | false;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onEvent?: GuardListener | undefined;
    readonly observers?: readonly GuardObserver[] | undefined;
  }) {
    const { folder, flagKey, onEvent, observers = [] } = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    if (onEvent) this.listen(onEvent);
    this.#observers = observers.map((observer, index) => [`observers[${index}]`, observer]);
    for (const [what, observer] of this.#observers) {
      this.#listeners.set((event) => observer.event?.(event, flagKey), what);
    }
    if (folder === false) return;
    this.#journal = new Journal(folder);
    this.#audit = new AuditLog(folder, flagKey, (error) => this.fault('writing the audit log', error));
  }

  /** Adds a listener; the returned function removes it. */
  listen(listener: GuardListener): () => void {
    this.#listeners.set(listener, 'a listener');
    return () => this.#listeners.delete(listener);
  }

  /** Sends an event to the audit log, the logger, every listener and every observer. */
  emit(event: GuardEvent): void {
    this.#audit?.append(event);
    const { level, line } = entryOf(event).log(event);
    this.#logger[level](event, line);
    for (const [listener, what] of this.#listeners) this.safely(what, () => listener(event));
  }

  /** Shows one outcome to the observers. */
  outcome(outcome: Outcome): void {
    for (const [what, observer] of this.#observers) this.safely(what, () => observer.outcome?.(outcome));
  }

  /** Reports, once for each `what`, that something other than the stop itself does not work. */
  readonly fault = (what: string, error: unknown): void => {
    if (this.#reportedFaults.has(what)) return;
    this.#reportedFaults.add(what);
    this.emit({ type: 'fault', at: this.#clock.now(), what, message: messageOf(error) });
  };

  /** Runs what has no caller to catch its errors: one that is thrown, or that its promise rejects with, becomes a fault. */
  safely(what: string, run: () => unknown): void {
    runCallback(what, run, this.fault);
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
    const what = 'writing the journal';
    this.safely(what, () => {
      if (this.#journal === undefined) return;
      this.#saved = this.#journal.save(entry).catch((error) => this.fault(what, error));
    });
  }

  /** Resolves when the last `save` is on disk or has failed, at the latest after two seconds. */
  async saved(): Promise<void> {
    await withDeadline(DISK_TIMEOUT_MS, undefined, () => this.#saved).catch(() => {});
  }

  /** Resolves when everything emitted and saved so far is on disk or has failed. */
  async settled(): Promise<void> {
    await Promise.all([this.#saved, this.#audit?.flushed()]);
  }
}
