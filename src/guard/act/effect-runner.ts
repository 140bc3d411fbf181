import type { JournalEntry } from '../../journal/journal.js';
import type { GuardState } from '../../model/state.js';
import type { GuardContext } from '../context/guard-context.js';
import type { AdminResources } from '../context/guard-resources.js';
import { decide, type Effect, type GuardInput } from '../decide/decide.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardMachine } from '../guard-machine.js';
import { KillSwitch } from './kill-switch.js';
import { ToggleHistory } from './toggle-history.js';

/** The one place that acts: decides on inputs, and performs the effects. */
export class EffectRunner {
  readonly #context: GuardContext;
  readonly #machine: GuardMachine;
  readonly #fleet: GuardFleet;
  readonly #killSwitch: KillSwitch | undefined;
  /** Undefined in a process that has no admin token, as the kill switch. */
  readonly history: ToggleHistory | undefined;

  constructor(
    context: GuardContext,
    machine: GuardMachine,
    fleet: GuardFleet,
    admin: Pick<AdminResources, 'client' | 'checks'> | undefined,
  ) {
    this.#context = context;
    this.#machine = machine;
    this.#fleet = fleet;
    if (admin === undefined) return;
    const { client, checks } = admin;
    this.history = new ToggleHistory(context, client, checks, (lastToggleId) => machine.refer(lastToggleId));
    this.#killSwitch = new KillSwitch(context, client, this.history, (answer) => this.dispatch(answer));
  }

  /** One input: the next state, and everything that follows from it. Never throws. */
  dispatch(input: GuardInput): void {
    const { state, effects } = decide(this.#machine.state, this.#withToggle(input));
    this.#machine.state = state;
    for (const effect of effects) {
      // Whatever breaks, what comes after it still happens: a flag must not stay on in Unleash for a lost record.
      this.#context.records.safely(effect.type, () => this.#perform(effect));
    }
  }

  /** Overrides the flag in this process where an earlier run's stop still applies. */
  applyStop(state: GuardState): void {
    const { dryRun, flags, flagKey } = this.#context;
    if (!dryRun && state.status !== 'armed') flags.override(flagKey, state.decision.reason);
  }

  /** Resumes what an earlier run left. A stop of that run applies to this process from now on. */
  restore(entry: JournalEntry): void {
    this.#machine.restore(entry);
    const { state } = this.#machine;
    if (state.status === 'armed') return;
    this.applyStop(state);
    const { clock, records } = this.#context;
    records.emit({ type: 'stopped-here', at: clock.now(), decisionId: state.decision.id });
    if (state.status === 'stopping') this.#resumeStop(state);
    else this.#killSwitch?.recheckSoon();
  }

  /** Called on every tick: where this process leads, resumes what Unleash has not confirmed yet. */
  recheck(): void {
    if (!this.#fleet.leads) return;
    const { state } = this.#machine;
    if (state.status === 'stopping') this.#resumeStop(state);
    this.#killSwitch?.recheck(state);
  }

  /** Ends every request; resolves when they have ended. */
  async close(): Promise<void> {
    await this.#killSwitch?.close();
  }

  /** Decisions refer to Unleash's history, which distinguishes another rollout from theirs later. */
  #withToggle(input: GuardInput): GuardInput {
    if (!('decision' in input)) return input;
    const lastToggleId = input.decision.lastToggleId ?? this.history?.lastToggleId;
    return lastToggleId === undefined ? input : { ...input, decision: { ...input.decision, lastToggleId } };
  }

  #resumeStop({ decision, failure }: GuardState & { status: 'stopping' }): void {
    if (this.#fleet.leads && failure === undefined) this.#killSwitch?.begin(decision, true);
  }

  #perform(effect: Effect): void {
    const { records } = this.#context;
    switch (effect.type) {
      case 'override':
        this.#context.flags.override(this.#context.flagKey, effect.decision.reason);
        return;
      case 'stop-fleet':
        this.#fleet.stopped(effect.decision);
        return;
      case 'record-decision': {
        const { at, decision, by } = effect;
        records.emit({ type: 'decided', at, decision, ...(by === undefined ? {} : { by }) });
        // After its cause, for whoever reads the log.
        if (!decision.dryRun) records.emit({ type: 'stopped-here', at, decisionId: decision.id });
        this.#machine.save();
        return;
      }
      case 'turn-off-in-unleash':
        if (this.#fleet.leads) this.#killSwitch?.begin(effect.decision, false);
        return;
      case 'confirm':
        this.#confirm(effect.stopped);
        return;
      case 'report-failure':
      case 'request-action':
      case 'report-end':
        records.emit(effect.event);
        return;
      case 're-arm':
        this.#reArm(effect);
        return;
    }
  }

  #confirm({ since: at, decision, confirmedBy, steppedBack }: GuardState & { status: 'stopped' }): void {
    const { records } = this.#context;
    const { id: decisionId, rolloutPercentage: from, toPercentage: to } = decision;
    if (steppedBack) records.emit({ type: 'stepped-back', at, decisionId, from, to });
    else records.emit({ type: 'stopped', at, decisionId, confirmedBy });
    this.#machine.save();
    if (!this.#fleet.leads) return;
    this.#fleet.finished(decision, steppedBack ? 'stepped-back' : 'off');
    if (!steppedBack) this.#killSwitch?.stopped(decision, confirmedBy === 'removed');
  }

  #reArm({ at, decision, steppedBack }: Effect & { type: 're-arm' }): void {
    const { flags, flagKey, records } = this.#context;
    flags.clearOverride(flagKey);
    this.#machine.beginAfterStop();
    const after = steppedBack ? ({ steppedBack } as const) : {};
    records.emit({ type: 're-armed', at, epoch: this.#machine.epoch, decisionId: decision.id, ...after });
    this.#machine.save();
    this.#fleet.reArmed(decision);
    this.history?.refresh(true);
    if (!steppedBack && this.#fleet.leads) this.#killSwitch?.reArmed(decision);
    else this.#killSwitch?.cancel();
  }
}
