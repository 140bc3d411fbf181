import type { FleetRole } from '../fleet/fleet-options.js';
import type { FlagFacts } from '../model/flags.js';
import type { Snapshot, Verdict } from '../model/shapes.js';
import type { StageProgress } from '../model/stage.js';
import type { GuardState, OpenReview } from '../model/state.js';

/** Where a rollout stands. */
export interface GuardStatus {
  readonly flagKey: string;
  readonly dryRun: boolean;
  readonly state: GuardState;
  readonly epoch: number;
  /** The flag as the provider knows it; undefined while Unleash has no such flag or nothing has arrived. */
  readonly flag: FlagFacts | undefined;
  /** What each trigger said last: those that roll back, then the reviews. */
  readonly verdicts: readonly Verdict[];
  /** Reviews that wait for a person. */
  readonly openReviews: readonly OpenReview[];
  /** The stage that Unleash's percentage belongs to; undefined when it belongs to none or the flag is off. */
  readonly stage: StageProgress | undefined;
  /** Complaints of users of whom no evaluation is known. */
  readonly unattributedComplaints: number;
  /** Undefined when this process shares no store with others. */
  readonly fleet: FleetStatus | undefined;
  readonly snapshot: Snapshot;
}

/** A process's place in its fleet. */
export interface FleetStatus {
  /** This process's name. */
  readonly instance: string;
  readonly role: FleetRole;
  /** The fleet's epoch; undefined before the shared store has answered. */
  readonly epoch: number | undefined;
  /** Why the shared store cannot be used; undefined while it can. */
  readonly problem: string | undefined;
  /** Flushes that the shared store has lost and that could not be sent again. */
  readonly lostDeltas: number;
}
