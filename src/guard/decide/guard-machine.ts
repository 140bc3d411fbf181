import type { JournalEntry } from '../../journal/journal.js';
import type { OutcomeStore } from '../../measure/outcome-store.js';
import type { FlagFacts, FlagSource } from '../../model/flags.js';
import type { Decision } from '../../model/shapes.js';
import type { GuardState, ReportedState } from '../../model/state.js';
import type { Clock } from '../../support/clock.js';
import type { KillSwitch } from '../act/kill-switch.js';

import type { FleetSync } from '../fleet/fleet-sync.js';
import type { GuardRecords } from '../records/guard-records.js';
import { afterRestart, decide, type Effect, type GuardInput, initialState } from './decide.js';

/** What {@link GuardMachine} works with. */
export interface GuardMachineOptions {
  readonly flagKey: string;
  readonly dryRun: boolean;
  readonly flags: FlagSource;
  readonly store: Pick<OutcomeStore, 'beginEpoch'>;
  readonly records: GuardRecords;
  /** Undefined in a process that has no admin token. */
  readonly unleash: KillSwitch | undefined;
  /** Whether this process speaks to Unleash: in a fleet, one does for all. */
  readonly speaksToUnleash: () => boolean;
  /** The fleet, when there is one. */
  readonly mirror: () => FleetSync | undefined;
  /** What the judge wants to know again after a restart. */
  readonly reportedState: () => ReportedState;
  readonly clock: Clock;
}

/** Carries the guard's state and epoch from input to input: `decide` says what to do, and this does it. */
export class GuardMachine {
  readonly #options: GuardMachineOptions;
  #state: GuardState;
  #epoch = 1;
  #epochStartedAt: number;
  /** The windows hold outcomes of this epoch and later ones. */
  #oldestEpoch = 1;
  /** The definition that the epoch belongs to; undefined until one has been seen. */
  #revision: string | undefined;
  #enabled: boolean | undefined;
  /** In a dry run: the stop that an earlier run left. */
  #leftForLater: GuardState | undefined;

  constructor(options: GuardMachineOptions) {
    const now = options.clock.now();
    this.#options = options;
    this.#state = initialState(now);
    this.#epochStartedAt = now;
    options.store.beginEpoch(this.#epoch, now, { keepWindows: true });
  }

  get state(): GuardState {
    return this.#state;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Whether the new path runs under this guard's watch: reviews and stages go on. */
  get isWatching(): boolean {
    return this.#state.status === 'armed' && this.#enabled !== false;
  }

  /** Whether a breach would lead to a decision now: in a dry run, only the first in an epoch does. */
  get isEvaluating(): boolean {
    if (this.#state.status !== 'armed' || !this.isWatching) return false;
    return this.#state.wouldHaveStopped?.epoch !== this.#epoch;
  }

  /** Stops the flag in this process when an earlier run's stop still holds. */
  applyStop(state: GuardState): void {
    const { dryRun, flags, flagKey } = this.#options;
    if (!dryRun && state.status !== 'armed') flags.override(flagKey, state.decision.reason);
  }

  /** Takes up what an earlier run left. A stop of that run holds in this process from now on. */
  restore(entry: JournalEntry): void {
    const { dryRun, store, clock, unleash } = this.#options;
    this.#epoch = entry.epoch;
    this.#epochStartedAt = entry.epochStartedAt ?? clock.now();
    this.#oldestEpoch = entry.oldestEpoch ?? entry.epoch;
    this.#revision = entry.revision;
    this.#enabled = entry.enabled;
    store.beginEpoch(this.#epoch, this.#epochStartedAt, { keepWindows: true });
    if (entry.state.status === 'armed') {
      this.#state = initialState(clock.now(), entry.state.steppedBackFrom);
      return;
    }
    if (dryRun) {
      // A dry run acts on nothing, not even on what a run before it left, which the next real run finds as it was.
      this.#leftForLater = entry.state;
      return;
    }
    this.#state = afterRestart(entry.state);
    this.#stopHere(entry.state.decision);
    if (entry.state.status === 'stopping') this.resumeStop();
    else unleash?.recheckSoon();
  }

  /** Goes on with a stop that Unleash has not taken, where this process is the one to speak to it. */
  resumeStop(): void {
    const { unleash, speaksToUnleash } = this.#options;
    if (this.#state.status !== 'stopping' || !speaksToUnleash()) return;
    if (this.#state.failure === undefined) unleash?.begin(this.#state.decision, true);
  }

  /** Takes up the fleet's number of the epoch, when it is ahead of this process's own. */
  skipTo(epoch: number): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#epochStartedAt = this.#options.clock.now();
    this.#options.store.beginEpoch(epoch, this.#epochStartedAt, { keepWindows: true });
    this.save();
  }

  /** One input: the next state, and everything that follows from it. Never throws. */
  dispatch(input: GuardInput): void {
    const before = this.#state;
    const { state, effects } = decide(before, input);
    this.#state = state;
    for (const effect of effects) {
      try {
        this.#perform(effect, before, input.at);
      } catch (error) {
        // Whatever breaks, what comes after it still happens: a flag must not stay on in Unleash for a lost record.
        this.#options.records.fault(effect, error);
      }
    }
  }

  /** Looks at the flag's definition: it may have been changed in Unleash. */
  pollDefinition(): void {
    const { flags, flagKey, clock } = this.#options;
    const facts = flags.flag(flagKey);
    if (facts === undefined) return;
    const epochBefore = this.#epoch;
    const { enabled, rolloutPercentage } = facts;
    this.dispatch({ type: 'definition', at: clock.now(), enabled, rolloutPercentage });
    const turnedOn = this.#enabled === false && facts.enabled;
    this.#enabled = facts.enabled;
    if (facts.revision === this.#revision) return;
    const firstLook = this.#revision === undefined;
    this.#revision = facts.revision;
    if (!firstLook && this.#epoch === epochBefore) this.#beginEpoch({ keepWindows: !turnedOn });
    this.#emitRollout(facts);
    this.save();
  }

  #perform(effect: Effect, before: GuardState, at: number): void {
    const { records, unleash, speaksToUnleash, mirror } = this.#options;
    const state = this.#state;
    switch (effect) {
      case 'stop-here':
        if (state.status !== 'armed') this.#stopHere(state.decision);
        return;
      case 'stop-fleet':
        if (state.status === 'stopping') mirror()?.stopped(state.decision);
        return;
      case 'record-decision': {
        const decision = state.status === 'armed' ? state.wouldHaveStopped : state.decision;
        const by = mirror()?.isOthers(decision) ? ({ by: 'fleet' } as const) : {};
        if (decision) records.emit({ type: 'decided', at, decision, ...by });
        this.save();
        return;
      }
      case 'stop-in-unleash':
        if (state.status === 'stopping' && speaksToUnleash()) unleash?.begin(state.decision, false);
        return;
      case 'tell-failure':
        if (state.status !== 'stopping' || state.failure === undefined) return;
        records.emit({ type: 'stop-failed', at, decisionId: state.decision.id, failure: state.failure });
        return;
      case 'ask-person':
        if (state.status !== 'stopping' || state.failure === undefined) return;
        records.emit({
          type: 'action-required',
          at,
          decisionId: state.decision.id,
          message: state.failure.message,
        });
        return;
      case 'confirm-stopped':
        if (state.status === 'stopped') this.#confirmStopped(state, at);
        return;
      case 're-arm':
        this.#options.flags.clearOverride(this.#options.flagKey);
        this.#beginEpoch({ keepWindows: false });
        records.emit({ type: 're-armed', at, epoch: this.#epoch });
        this.save();
        if (before.status === 'armed') return;
        mirror()?.reArmed(before.decision);
        if (!(before.status === 'stopped' && before.steppedBack) && speaksToUnleash()) {
          unleash?.reArmed(before.decision.at);
        }
        return;
    }
  }

  #confirmStopped(
    { decision, confirmedBy, steppedBack }: GuardState & { status: 'stopped' },
    at: number,
  ): void {
    const { records, unleash, speaksToUnleash, mirror } = this.#options;
    const { id: decisionId, rolloutPercentage: from, toPercentage: to } = decision;
    if (steppedBack) records.emit({ type: 'stepped-back', at, decisionId, from, to });
    else records.emit({ type: 'stopped', at, decisionId, confirmedBy });
    this.save();
    if (!speaksToUnleash()) return;
    mirror()?.finished(decision, steppedBack ? 'stepped-back' : 'off');
    if (!steppedBack) unleash?.stopped(decision);
  }

  #stopHere(decision: Decision): void {
    const { flags, flagKey, records, clock } = this.#options;
    flags.override(flagKey, decision.reason);
    records.emit({ type: 'stopped-here', at: clock.now(), decisionId: decision.id });
  }

  #beginEpoch(options: { readonly keepWindows: boolean }): void {
    this.#epoch++;
    this.#epochStartedAt = this.#options.clock.now();
    if (!options.keepWindows) this.#oldestEpoch = this.#epoch;
    this.#options.store.beginEpoch(this.#epoch, this.#epochStartedAt, options);
  }

  #emitRollout({ enabled, rolloutPercentage }: FlagFacts): void {
    const { records, clock } = this.#options;
    records.emit({
      type: 'rollout-changed',
      at: clock.now(),
      epoch: this.#epoch,
      enabled,
      rolloutPercentage,
    });
  }

  /** Begins to write what a restart must know to disk. */
  save(): void {
    const { records, flagKey, reportedState } = this.#options;
    records.save({
      flagKey,
      epoch: this.#epoch,
      epochStartedAt: this.#epochStartedAt,
      oldestEpoch: this.#oldestEpoch,
      revision: this.#revision,
      enabled: this.#enabled,
      state: this.#leftForLater ?? this.#state,
      reported: reportedState(),
    });
  }
}
