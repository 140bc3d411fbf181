import type { GuardEvent } from '../model/event.js';
import type { RolloutView } from '../model/rollout-view.js';
import type { RolloutHistory, WantedHistory } from '../rollups/rollup.js';

/** Where a rollout stands, as its leader saved it, and when it was read by the server's clock, which the view's times are of. */
export interface SharedView {
  readonly view: RolloutView;
  readonly now: number;
}

/**
 * What a fleet keeps of its rollout in the shared store, for whoever shows it. Every method rejects with a `FleetError` when the server
 * does not reply as it should.
 */
export interface SharedRollout {
  /** Undefined before the leader has saved one, and when it is of another version. */
  view(): Promise<SharedView | undefined>;
  /** A rollout as the whole fleet recorded it, the running minute included. */
  history(wanted?: WantedHistory): Promise<RolloutHistory>;
  /** What the leaders reported of the rollout, ascending: at most {@link MOST_SHARED_EVENTS}. */
  events(): Promise<readonly GuardEvent[]>;
}

/** Events that are kept, the latest. */
export const MOST_SHARED_EVENTS = 1_000;

/** What is about one process, or may come at any rate: it is in the audit log of that process. */
const NOT_SHARED: ReadonlySet<GuardEvent['type']> = new Set([
  'started',
  'closed',
  'complaint',
  'fault',
  'recovered',
  'fleet-connection',
  'folder-changed',
  'stop-taken-over',
]);

/** Whether an event of the leader is the fleet's. */
export function isOfFleet({ type }: GuardEvent): boolean {
  return !NOT_SHARED.has(type);
}
