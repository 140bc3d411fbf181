import type { DecisionCount, Metered } from '../../dashboard/prometheus-text.js';
import type { GuardEvent } from '../../model/event.js';
import type { ControlLedger } from '../control/control-ledger.js';
import type { GuardContext } from '../guard-context.js';
import type { GuardView } from './guard-view.js';

/** Counts what a view does not have, and gives all figures of a guard. */
export class GuardMetrics {
  readonly #view: GuardView;
  readonly #ledger: ControlLedger;
  readonly #decisions: DecisionCount[] = [];
  #faults = 0;

  constructor({ records }: GuardContext, view: GuardView, ledger: ControlLedger) {
    this.#view = view;
    this.#ledger = ledger;
    records.listen((event) => this.#count(event));
  }

  get current(): Metered {
    return {
      view: this.#view.current,
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
    const known = this.#decisions.find(
      (each) => each.action === action && each.dryRun === dryRun && each.by === by,
    );
    if (known === undefined) this.#decisions.push({ action, dryRun, by, count: 1 });
    else known.count++;
  }
}
