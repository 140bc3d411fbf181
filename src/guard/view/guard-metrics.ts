import type { GuardEvent } from '../../model/event.js';
import type { DecisionCount, GuardFigures } from '../../model/observer.js';
import type { GuardContext } from '../context/guard-context.js';
import type { ControlLedger } from '../control/control-state.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardView } from './guard-view.js';

const NO_DECISIONS: readonly DecisionCount[] = (['stop', 'step-back'] as const).flatMap((action) =>
  [false, true].flatMap((dryRun) =>
    (['triggers', 'request'] as const).map((by) => ({ action, dryRun, by, count: 0 })),
  ),
);

/** Counts what a view does not have, and gives all figures of a guard. */
export class GuardMetrics {
  readonly #view: GuardView;
  readonly #ledger: ControlLedger;
  readonly #fleet: Pick<GuardFleet, 'leads'>;
  // From 0 on: a counter that begins with its first decision shows no increase.
  #decisions: readonly DecisionCount[] = NO_DECISIONS;
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
    this.#decisions = this.#decisions.map((each) => {
      const isSame = each.action === action && each.dryRun === dryRun && each.by === by;
      return isSame ? { ...each, count: each.count + 1 } : each;
    });
  }
}
