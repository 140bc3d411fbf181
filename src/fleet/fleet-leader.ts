import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import type { Baseline } from '../model/shapes.js';
import type { Clock } from '../support/clock.js';
import { type FleetLink, isFleetError } from './fleet-link.js';
import { FleetView } from './fleet-view.js';

/** What {@link FleetLeader} works with. */
export interface FleetLeaderOptions {
  readonly link: FleetLink;
  readonly clock: Clock;
  readonly emptyStore: () => MemoryOutcomeStore;
  readonly reportedState: { readonly get: () => unknown; readonly set: (memory: unknown) => void };
  /** The time by the server's clock. */
  readonly serverNow: () => number;
  /** The fleet's outcomes have changed. */
  readonly onOutcomes: () => void;
  readonly onFault: (what: string, error: unknown) => void;
}

/** How often the judge keeps what it knows, in milliseconds. */
const KEEP_MS = 2_000;

/** The judge's work, while this process is the judge: reads what all have sent, and keeps it for whoever is the next. */
export class FleetLeader {
  readonly #options: FleetLeaderOptions;
  #fence: number | undefined;
  #view: FleetView | undefined;
  #baseline: Baseline | undefined;
  #looking: Promise<void> | undefined;
  #keptAt = Number.NEGATIVE_INFINITY;

  constructor(options: FleetLeaderOptions) {
    this.#options = options;
  }

  /** What all recorded; undefined while another process judges, or before this one has read it. */
  get view(): FleetView | undefined {
    return this.#view;
  }

  setBaseline(baseline: Baseline): void {
    this.#baseline = baseline;
    this.#view?.setBaseline(baseline);
  }

  /** From now on this process judges under this number, or does not. */
  lead(fence: number | undefined): void {
    if (fence === this.#fence) return;
    this.#fence = fence;
    this.#view = undefined;
    this.poll();
  }

  /** What was read is no longer what the server holds. */
  startOver(): void {
    this.#view = undefined;
  }

  /** Reads what came since the last look, unless that is under way. */
  poll(): void {
    const fence = this.#fence;
    if (fence === undefined || this.#looking !== undefined) return;
    this.#looking = this.#read(fence)
      .catch((error) => {
        // Whether the store is away, the next sync tells.
        if (isFleetError(error) && !error.requiresAction) return;
        this.#options.onFault("judging the fleet's outcomes", error);
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  /** Keeps what is known for the next judge. */
  async close(): Promise<void> {
    await this.#looking;
    if (this.#fence === undefined) return;
    await this.#view?.keep(this.#options.serverNow()).catch(() => {});
  }

  async #read(fence: number): Promise<void> {
    const { clock, serverNow, onOutcomes } = this.#options;
    const before = this.#view;
    const view = before ?? (await FleetView.take({ ...this.#options, fence }, serverNow()));
    const read = await view.advance(serverNow());
    // Meanwhile somebody else may judge, or the server's data may be others.
    if (fence !== this.#fence || before !== this.#view) return;
    if (read === undefined) {
      this.lead(undefined);
      return;
    }
    if (before === undefined && this.#baseline !== undefined) view.setBaseline(this.#baseline);
    this.#view = view;
    if (before === undefined || read > 0) onOutcomes();
    if (clock.monotonic() - this.#keptAt < KEEP_MS) return;
    this.#keptAt = clock.monotonic();
    await view.keep(serverNow());
  }
}
