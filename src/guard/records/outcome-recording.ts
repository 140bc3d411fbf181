import type { JournalEntry } from '../../journal/journal.js';
import { OutcomeLog } from '../../log/outcome-log.js';
import { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { StoreDump } from '../../measure/outcome-delta.js';
import type { Outcome } from '../../model/shapes.js';
import type { ResolvedOptions } from '../options.js';
import type { GuardRecords } from './guard-records.js';

/** An empty store that keeps what the guard's triggers need. */
export function storeFor(options: ResolvedOptions, startedAt: number): MemoryOutcomeStore {
  const { flagKey, rollback, review, outcomeTimeoutMs } = options;
  const triggers = [...rollback, ...review];
  const windowsMs = triggers.map(({ windowMs }) => windowMs);
  return new MemoryOutcomeStore({
    flagKey,
    windowsMs,
    evidenceFor: triggers,
    outcomeTimeoutMs,
    now: startedAt,
  });
}

/** Keeps the guard's store and its log on disk together; does nothing when the user wants no log. */
export class OutcomeRecording {
  readonly #options: ResolvedOptions;
  readonly #store: MemoryOutcomeStore;
  readonly #log: OutcomeLog | undefined;
  #counted: StoreDump | undefined;

  constructor(options: ResolvedOptions, store: MemoryOutcomeStore, records: GuardRecords) {
    const { flagKey, folder, log, clock } = options;
    this.#options = options;
    this.#store = store;
    if (folder === false || log === false) return;
    const dump = () => store.dump(clock.now());
    const onFault = (what: string, error: unknown) => records.fault(what, error);
    const outcomeLog = new OutcomeLog({ ...log, flagKey, folder, clock, dump, onFault });
    records.listen((event) => {
      if (event.type === 'rollout-changed') outcomeLog.rollout(event.epoch, event.rolloutPercentage);
      if (event.type === 're-armed') outcomeLog.rollout(event.epoch, this.#percentage());
    });
    this.#log = outcomeLog;
  }

  /** Repairs what a crash left of the log, and reads what earlier runs counted. */
  async open(left: JournalEntry | undefined, epoch: number): Promise<void> {
    this.#counted = await this.#log?.open({
      epoch: left?.epoch ?? epoch,
      epochStartedAt: left?.epochStartedAt,
      oldestEpoch: left?.oldestEpoch,
      emptyStore: (startedAt) => storeFor(this.#options, startedAt),
      now: this.#options.clock.now(),
    });
  }

  /** Gives the store what earlier runs counted, and begins to write; in the turn in which the epoch was restored. */
  start(epoch: number): void {
    if (this.#counted !== undefined) this.#store.restore(this.#counted, this.#options.clock.now());
    this.#counted = undefined;
    this.#log?.rollout(epoch, this.#percentage());
    this.#log?.start();
  }

  record(outcome: Outcome): void {
    this.#log?.record(outcome);
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  #percentage(): number | undefined {
    const { flags, flagKey } = this.#options;
    try {
      return flags.flag(flagKey)?.rolloutPercentage;
    } catch {
      // The guard's tick reports a broken flag source; a log without percentages is better than none.
      return undefined;
    }
  }
}
