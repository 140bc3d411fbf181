import { type FleetLink, isFleetError } from './fleet-link.js';
import { FleetView, type FleetViewOptions } from './fleet-view.js';

/** What {@link FleetLeader} needs. */
export interface FleetLeaderOptions extends Omit<FleetViewOptions, 'fence'> {
  readonly link: FleetLink;
  readonly monotonic: () => number;
  /** The time by the server's clock. */
  readonly serverNow: () => number;
  /** The fleet's outcomes have changed. */
  readonly onOutcomes: () => void;
}

/** How often the leader saves a checkpoint, in milliseconds. */
const CHECKPOINT_MS = 2_000;

/** The leader's work, while this process is the leader: reads what all have sent, and saves it for the next leader. */
export class FleetLeader {
  readonly #options: FleetLeaderOptions;
  #fence: number | undefined;
  #view: FleetView | undefined;
  #reading: Promise<void> | undefined;
  #savedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FleetLeaderOptions) {
    this.#options = options;
  }

  /** What all recorded; undefined while another process is the leader, or before this one has read it. */
  get view(): FleetView | undefined {
    return this.#view;
  }

  /** This process is the leader with this number, or (undefined) is not. */
  setFence(fence: number | undefined): void {
    if (fence === this.#fence) return;
    this.#fence = fence;
    this.#view = undefined;
    this.poll();
  }

  /** The server's data is no longer what was read. */
  discardView(): void {
    this.#view = undefined;
  }

  /** Reads what was sent since the last time, unless a read is under way. */
  poll(): void {
    const fence = this.#fence;
    if (fence === undefined || this.#reading !== undefined) return;
    this.#reading = this.#read(fence)
      .catch((error) => {
        // The next sync reports a connection that was lost.
        if (isFleetError(error) && !error.requiresAction) return;
        this.#options.onFault("evaluating the fleet's outcomes", error);
      })
      .finally(() => {
        this.#reading = undefined;
      });
  }

  /** Saves a last checkpoint for the next leader. */
  async close(): Promise<void> {
    await this.#reading;
    if (this.#fence === undefined) return;
    await this.#view?.saveCheckpoint(this.#options.serverNow()).catch(() => {});
  }

  async #read(fence: number): Promise<void> {
    const { monotonic, serverNow, onOutcomes } = this.#options;
    const before = this.#view;
    const view = before ?? (await FleetView.load({ ...this.#options, fence }, serverNow()));
    const read = await view.readEntries(serverNow());
    // Meanwhile another process may have become the leader, or the server may have lost its data.
    if (fence !== this.#fence || before !== this.#view) return;
    if (read === undefined) {
      this.setFence(undefined);
      return;
    }
    this.#view = view;
    if (before === undefined || read > 0) onOutcomes();
    if (monotonic() - this.#savedAt < CHECKPOINT_MS) return;
    this.#savedAt = monotonic();
    await view.saveCheckpoint(serverNow());
  }
}
