import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import type { Clock } from '../support/clock.js';
import type { FleetLink, FleetState } from './fleet-link.js';

/** `judge`: decides for all. `follower`: another process does. `alone`: the shared store or every judge is away; it judges its own share. */
export type FleetRole = 'judge' | 'follower' | 'alone';

/** What a fleet member tells its guard. None of these may throw. */
export interface FleetMemberListener {
  /** What all agree on has changed, or was asked for anew. */
  readonly onState: (state: FleetState) => void;
  /** The fleet's outcomes have changed; this process judges them. */
  readonly onOutcomes: () => void;
  /** The number of the fleet's epoch for this process's definition. */
  readonly onEpoch: (epoch: number) => void;
  /** The shared store went away (with a reason), or came back (undefined). */
  readonly onConnection: (problem: string | undefined) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

/** How a fleet keeps time, in milliseconds. */
export interface FleetTiming {
  /** How often a process sends what it recorded. */
  readonly flushMs: number;
  /** How often the judge looks. */
  readonly evaluateMs: number;
  /** How long a silent judge stays the judge, and a silent shared store is waited for. */
  readonly leaseMs: number;
}

/** What {@link FleetMember} works with. */
export interface FleetMemberOptions {
  /** What this process records. */
  readonly own: MemoryOutcomeStore;
  /** For what the fleet recorded. */
  readonly emptyStore: () => MemoryOutcomeStore;
  readonly link: FleetLink;
  readonly clock: Clock;
  readonly timing: FleetTiming;
  readonly mayLead: boolean;
  /** The definition's revision (see `FlagFacts.revision`); undefined before the first. */
  readonly revision: () => string | undefined;
  readonly reportedState: { readonly get: () => unknown; readonly set: (memory: unknown) => void };
  readonly listener: FleetMemberListener;
}
