import type { FleetRole, UnfedRule } from '../fleet/fleet-options.js';
import type { FlagFacts } from '../model/flags.js';
import type { Health } from '../model/health.js';
import type { Verdict } from '../model/shapes.js';
import type { Snapshot } from '../model/snapshot.js';
import type { StageProgress } from '../model/stage.js';
import type { GuardState as JournalState, OpenReview } from '../model/state.js';

type Shown<State> = State extends unknown ? Omit<State, 'seenOff' | 'reported'> : never;

/**
 * What a guard is doing, by its `status`, and `since` when, milliseconds since 1970:
 *
 * - `armed`. `wouldHaveStopped`: the decision of a dry run. `steppedBackFrom`: the percentage to which it does not return by itself.
 * - `stopping`: off here, and not yet in Unleash. `decision`; `failure`: why the latest request failed.
 * - `stopped`: off in Unleash. `decision`; `confirmedBy`: how that is known; `steppedBack`: on at a lower percentage instead.
 */
export type GuardState = Shown<JournalState>;

/** A guard's state without what only its journal needs. */
export function shownState(state: JournalState): GuardState {
  const { seenOff: _, reported: __, ...shown } = { seenOff: undefined, reported: undefined, ...state };
  return shown;
}

/** Something that keeps a guard from doing its work, or soon will. */
export interface GuardProblem {
  /** Stable, for example `FLAG_MISSING`, `TOKEN_EXPIRES`, or the code of an `AdminError`. */
  readonly code: string;
  /** What it is and what to do, for an operator. */
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** Where a rollout stands. */
export interface GuardStatus {
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  /** Decisions are recorded, and none is acted on. */
  readonly dryRun: boolean;
  /** What the guard is doing, and with which decision. */
  readonly state: GuardState;
  /** Whether the guard can do its work: `blind` with the reasons, or `ok`. */
  readonly health: Health;
  /** The number of the epoch: it counts the changes of the percentage and the strategies. */
  readonly epoch: number;
  /** The flag's definition in the provider; undefined while Unleash has no such flag or nothing has arrived. */
  readonly flag: FlagFacts | undefined;
  /** The latest verdict of each trigger: those that roll back, then the reviews. */
  readonly verdicts: readonly Verdict[];
  /** Reviews that wait for an operator. */
  readonly openReviews: readonly OpenReview[];
  /** The stage that Unleash's percentage belongs to; undefined when it belongs to none or the flag is off. */
  readonly stage: StageProgress | undefined;
  /** What keeps the guard from its work now; in a fleet, the leader's status has what concerns Unleash. */
  readonly problems: readonly GuardProblem[];
  /** Complaints of users without a known evaluation. */
  readonly unattributedComplaints: number;
  /** Undefined when this process shares no store with others. */
  readonly fleet: FleetStatus | undefined;
  /** What triggers evaluate now. */
  readonly snapshot: Snapshot;
}

/** A process's place in its fleet. */
export interface FleetStatus {
  /** This process's name. */
  readonly instance: string;
  /** Whether this process decides for the fleet. */
  readonly role: FleetRole;
  /** The fleet's epoch; undefined before the shared store has replied. */
  readonly epoch: number | undefined;
  /** Why the shared store cannot be used; undefined while it can. */
  readonly problem: string | undefined;
  /** Flushes that this process could not keep until the shared store replied. */
  readonly lostDeltas: number;
  /** How often the shared store had lost data and was filled again from the processes, as this process saw it. */
  readonly rebuilt: number;
  /** In the leader: entries of the shared store that it could not read, because they are foreign or of another version. */
  readonly unreadable: number;
  /** In the leader: its rules for which other processes feed nothing, because they run other rules. */
  readonly unfed: readonly UnfedRule[];
}
