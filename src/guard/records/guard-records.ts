import { AuditLog } from '../../journal/audit-log.js';
import { Journal, type JournalEntry } from '../../journal/journal.js';
import type { GuardEvent, GuardListener } from '../../model/event.js';
import type { GuardObserver } from '../../model/observer.js';
import type { Outcome } from '../../model/shapes.js';
import type { Clock } from '../../support/clock.js';
import type { Logger } from '../../support/logger.js';
import { Observers } from './observers.js';

/** A save that takes longer than this no longer holds a stop back. */
const DISK_TIMEOUT_MS = 2_000;

/**
 * Everything that a guard writes and tells: journal, audit log, logger and listeners. None of them can fail or delay
 * the guard: a fault is told once, and the rest goes on.
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
    this.#observers = new Observers({ flagKey, observers, records: this });
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
    const { level, message } = describe(event);
    this.#logger[level](event, message);
    for (const listener of this.#listeners) {
      try {
        const answer: unknown = listener(event);
        // An async function is a listener too, and a rejection that nobody handles would end the process.
        if (answer instanceof Promise) answer.catch((error) => this.fault('a listener', error));
      } catch (error) {
        this.fault('a listener', error);
      }
    }
  }

  /** Shows one outcome to the observers. */
  outcome(outcome: Outcome): void {
    this.#observers.outcome(outcome);
  }

  /** Tells, once for each `what`, that something beside the stop itself does not work. */
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

  /** What the previous run left; undefined when there is nothing or it cannot be read, which is told. */
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

  /** Resolves when everything told and saved so far is on disk or has failed. */
  async settled(): Promise<void> {
    await Promise.all([this.#saved, this.#audit?.flushed()]);
  }
}

function describe(event: GuardEvent): { level: 'info' | 'warn' | 'error'; message: string } {
  switch (event.type) {
    case 'started':
      return { level: 'info', message: `The guard watches (epoch ${event.epoch}, ${event.status}).` };
    case 'rollout-changed':
      return { level: 'info', message: rolloutWords(event.enabled, event.rolloutPercentage) };
    case 'decided':
      return event.decision.dryRun
        ? { level: 'warn', message: `Dry run, the flag would be stopped: ${event.decision.reason}` }
        : { level: 'error', message: `Stopping the flag: ${event.decision.reason}` };
    case 'fleet-connection':
      return event.problem === undefined
        ? { level: 'info', message: 'The shared store of the fleet answers again.' }
        : { level: 'warn', message: `This process judges alone for now: ${event.problem}` };
    case 'stopped-here':
      return { level: 'warn', message: 'The flag is off in this process.' };
    case 'stop-failed':
      return { level: 'warn', message: `Unleash has not turned the flag off yet: ${event.failure.message}` };
    case 'action-required':
      return { level: 'error', message: event.message };
    case 'stopped':
      return { level: 'warn', message: 'The flag is off in Unleash.' };
    case 'unleash-history':
      return { level: 'info', message: `Unleash's history: turned ${event.change} by ${event.by}.` };
    case 'stepped-back':
      return {
        level: 'warn',
        message: `The rollout went back from ${event.from} % to ${event.to} % in Unleash.`,
      };
    case 're-armed':
      return { level: 'info', message: 'The flag is on again: the guard watches anew.' };
    case 'stage':
      return { level: event.progress.status === 'missed' ? 'warn' : 'info', message: event.progress.message };
    case 'advanced':
      return {
        level: 'info',
        message: `Moved the rollout from ${event.from} % to ${event.to} % in Unleash.`,
      };
    case 'review-opened':
      return { level: 'warn', message: `A person should look: ${event.verdict.message}` };
    case 'review-closed':
      return { level: 'info', message: `The reason for the review is gone: ${event.verdict.message}` };
    case 'complaint':
      return { level: 'info', message: `A user of the ${event.arm} complained.` };
    case 'fault':
      return { level: 'error', message: `${event.what}: ${event.message}` };
    case 'closed':
      return { level: 'info', message: 'The guard has ended.' };
  }
}

function rolloutWords(enabled: boolean, percentage: number | undefined): string {
  if (!enabled) return 'The rollout changed: the flag is off.';
  return percentage === undefined
    ? 'The rollout changed: the flag is on, with no single percentage.'
    : `The rollout changed: the flag is on for ${percentage} %.`;
}
