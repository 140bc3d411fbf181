import type { GuardEvent } from '../../model/event.js';
import type { DecisionCount, GuardFigures } from '../../model/observer.js';
import type { ControlLedger } from '../control/control-ledger.js';
import type { GuardContext } from '../guard-context.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardView } from './guard-view.js';

/** Counts what a view does not have, and gives all figures of a guard. */
export class GuardMetrics {
  readonly #view: GuardView;
  readonly #ledger: ControlLedger;
  readonly #fleet: Pick<GuardFleet, 'leads'>;
  #decisions: readonly DecisionCount[] = [];
  #faults = 0;

  constructor(
    { records }: GuardContext,
    view: GuardView,
    ledger: ControlLedger,
    fleet: Pick<GuardFleet, 'leads'>,
  ) {
    this.#fleet = fleet;
    this.#view = view;
    this.#ledger = ledger;
    records.listen((event) => this.#count(event));
  }

  get current(): GuardFigures {
    return {
      view: this.#view.current,
      leads: this.#fleet.leads,
      decisions: this.#decisions,
      faults: this.#faults,
      firingAlerts: this.#ledger.firingAlerts.length,
    };
  }

  #count(event: GuardEvent): void {
    if (event.type === 'fault') this.#faults += event.count ?? 1;
    // Every process of a fleet reports a decision; the one that made it counts it.
    if (event.type !== 'decided' || event.by !== undefined) return;
    const { action, dryRun, requestedBy } = event.decision;
    const by = requestedBy === undefined ? 'triggers' : 'request';
    const isSame = (each: DecisionCount) =>
      each.action === action && each.dryRun === dryRun && each.by === by;
    const { count = 0 } = this.#decisions.find(isSame) ?? {};
    const others = this.#decisions.filter((each) => !isSame(each));
    this.#decisions = [...others, { action, dryRun, by, count: count + 1 }];
  }
}
