import type { JournalEntry } from '../journal/journal.js';
import type { FlagFacts } from '../model/flags.js';
import type { GuardState } from '../model/state.js';
import type { GuardContext } from './context/guard-context.js';
import type { ControlLedger } from './control/control-state.js';
import { afterRestart, initialState } from './decide/decide.js';
import type { Evaluator } from './evaluate/evaluator.js';
import type { EvaluatedStore } from './guard-fleet.js';

/** The guard's state and epoch, and their copy in the journal. */
export class GuardMachine {
  readonly #context: GuardContext;
  readonly #store: EvaluatedStore;
  readonly #evaluator: Evaluator;
  readonly #ledger: ControlLedger;
  state: GuardState;
  /** What the next run resolves if this one is killed. */
  incidents: JournalEntry['incidents'];
  #epoch = 1;
  #epochStartedAt: number;
  /** Outcomes of this epoch and later ones count in the windows. */
  #oldestEpoch = 1;
  /** The definition that the epoch belongs to; undefined until one has been seen. */
  #revision: string | undefined;
  #enabled: boolean | undefined;
  /** In a dry run: the stop that an earlier run left. */
  #leftByEarlierRun: GuardState | undefined;

  constructor(context: GuardContext, store: EvaluatedStore, evaluator: Evaluator, ledger: ControlLedger) {
    const now = context.clock.now();
    this.#context = context;
    this.#store = store;
    this.#evaluator = evaluator;
    this.#ledger = ledger;
    this.state = initialState(now);
    this.#epochStartedAt = now;
    store.beginEpoch(this.#epoch, now, { keepWindows: true });
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The first epoch since the flag was turned on. */
  get oldestEpoch(): number {
    return this.#oldestEpoch;
  }

  /** Whether the flag was on when its definition was read last, in an earlier run too; undefined before. */
  get wasEnabled(): boolean | undefined {
    return this.#enabled;
  }

  /** Whether the new path runs under this guard's protection: reviews and stages are evaluated. */
  get isWatching(): boolean {
    return this.state.status === 'armed' && this.#enabled !== false;
  }

  /** Whether a breach would lead to a decision now: in a dry run, only the first in an epoch does. */
  get isEvaluating(): boolean {
    if (this.state.status !== 'armed' || !this.isWatching) return false;
    return this.state.wouldHaveStopped?.epoch !== this.#epoch;
  }

  /** Resumes what an earlier run left. */
  restore(entry: JournalEntry): void {
    const { dryRun, clock } = this.#context;
    this.#epoch = entry.epoch;
    this.#epochStartedAt = entry.epochStartedAt ?? clock.now();
    this.#oldestEpoch = entry.oldestEpoch ?? entry.epoch;
    this.#revision = entry.revision;
    this.#enabled = entry.enabled;
    if (entry.controls !== undefined) this.#ledger.state = entry.controls;
    this.#store.beginEpoch(this.#epoch, this.#epochStartedAt, { keepWindows: true });
    if (entry.state.status === 'armed') {
      this.state = initialState(clock.now(), entry.state.steppedBackFrom);
    } else if (dryRun) {
      // A dry run acts on nothing, not even on a stop of an earlier run, which the next real run finds as it was.
      this.#leftByEarlierRun = entry.state;
    } else {
      this.state = afterRestart(entry.state);
    }
  }

  /** Adopts the fleet's number of the epoch, when it is ahead of this process's own. */
  skipTo(epoch: number): void {
    if (epoch <= this.#epoch) return;
    this.#enter(epoch, true);
    this.save();
  }

  /** Adds to an open stop which toggle in Unleash was the newest, when that was not known yet. */
  refer(lastToggleId: number): void {
    const { state } = this;
    if (state.status !== 'stopping' || state.decision.lastToggleId !== undefined) return;
    this.state = { ...state, decision: { ...state.decision, lastToggleId } };
    this.save();
  }

  /** Begins the epoch after a stop: nothing from before counts any more, and no review stays open. */
  beginAfterStop(): void {
    this.#evaluator.forgetReviews();
    this.#oldestEpoch = this.#epoch + 1;
    this.#enter(this.#epoch + 1, false);
  }

  /**
   * Notes the flag's definition, and begins an epoch when it rolls out differently.
   *
   * @param isNewEpoch - An epoch has begun with this definition already.
   * @returns whether the rollout has changed.
   */
  adopt({ enabled, revision }: FlagFacts, isNewEpoch: boolean): boolean {
    const turnedOn = this.#enabled === false && enabled;
    this.#enabled = enabled;
    if (revision === this.#revision) return false;
    const isFirst = this.#revision === undefined;
    this.#revision = revision;
    if (isFirst || isNewEpoch) return true;
    if (turnedOn) this.#oldestEpoch = this.#epoch + 1;
    this.#enter(this.#epoch + 1, !turnedOn);
    return true;
  }

  /** Begins to write what a restart must know to disk. */
  save(): void {
    const { records, flagKey } = this.#context;
    records.save({
      flagKey,
      epoch: this.#epoch,
      epochStartedAt: this.#epochStartedAt,
      oldestEpoch: this.#oldestEpoch,
      revision: this.#revision,
      enabled: this.#enabled,
      state: this.#leftByEarlierRun ?? this.state,
      reported: this.#evaluator.reportedState,
      controls: this.#ledger.state,
      incidents: this.incidents,
    });
  }

  #enter(epoch: number, keepWindows: boolean): void {
    this.#epoch = epoch;
    this.#epochStartedAt = this.#context.clock.now();
    this.#store.beginEpoch(epoch, this.#epochStartedAt, { keepWindows });
  }
}
