import type { ControlState } from '../../model/control.js';
import type { GuardEvent } from '../../model/event.js';
import { GUARD_ITSELF } from '../../model/words/control-events.js';
import { formatDuration } from '../../support/wording.js';
import type { GuardContext } from '../context/guard-context.js';
import { type ControlLedger, withHold, withoutExpired, withStop } from '../control/control-state.js';
import type { GuardFleet } from '../guard-fleet.js';

/**
 * What changes without a request of an operator: a mute ends, and automatic advance is held after a stage that is overdue, or after a flag
 * that is stopped again and again. In a fleet, the leader does it for all.
 */
export class AutomaticControls {
  readonly #context: GuardContext;
  readonly #fleet: GuardFleet;
  readonly #ledger: ControlLedger;
  readonly #change: (change: (state: ControlState) => ControlState) => void;

  /** @param change - Changes the ledger. */
  constructor(
    context: GuardContext,
    fleet: GuardFleet,
    ledger: ControlLedger,
    change: (change: (state: ControlState) => ControlState) => void,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#ledger = ledger;
    this.#change = change;
    context.records.listen((event) => this.#onEvent(event));
  }

  /** Called on every tick. A mute whose time has passed has no effect anywhere. */
  endMutes(): void {
    if (this.#fleet.controls?.leads === false) return;
    const { clock, records } = this.#context;
    const now = clock.now();
    const { expired } = withoutExpired(this.#ledger.state, now);
    if (expired.length > 0) this.#change((state) => withoutExpired(state, now).state);
    for (const { trigger } of expired) records.emit({ type: 'mute-expired', at: now, trigger });
  }

  #onEvent(event: GuardEvent): void {
    if (this.#fleet.controls?.leads === false) return;
    if (event.type === 'stage-overdue' && event.progress.stage.onDeadline === 'hold') {
      const { percentage, deadlineMs = 0 } = event.progress.stage;
      this.#hold(event.at, `the stage at ${percentage} % was not met within ${formatDuration(deadlineMs)}`);
    }
    if (event.type === 'decided' && !event.decision.dryRun && event.decision.requestedBy === undefined) {
      this.#onStop(event.decision.id, event.at);
    }
  }

  /** The next rollout is to be an operator's. */
  #onStop(id: string, at: number): void {
    const { holdAfterStops: limit, advance } = this.#context;
    if (limit === false || advance !== 'automatic') return;
    const { withinMs } = limit;
    const noted = withStop(this.#ledger.state, { id, at }, withinMs);
    if (noted === undefined) return;
    this.#change((state) => withStop(state, { id, at }, withinMs)?.state ?? state);
    if (noted.count < limit.stops) return;
    this.#hold(at, `the flag was stopped ${noted.count} times within ${formatDuration(withinMs)}`);
  }

  #hold(at: number, reason: string): void {
    if (this.#ledger.state.hold !== undefined) return;
    const control = { type: 'hold', by: GUARD_ITSELF, reason } as const;
    this.#change((state) => withHold(state, { since: at, by: GUARD_ITSELF, reason }));
    this.#context.records.emit({ type: 'control', at, control });
  }
}
