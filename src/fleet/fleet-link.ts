import type { GuardEvent } from '../model/event.js';
import type { Decision } from '../model/shapes.js';
import type { EarlierBook, PendingLine } from '../rollups/book-state.js';
import { recognizeCopies } from '../support/data/kind.js';
import type { ControlLink } from './control-link.js';
import type {
  FleetEntries,
  FleetProcesses,
  FleetState,
  Lease,
  StopNotice,
  SyncReply,
} from './fleet-shapes.js';
import type { SharedRollout } from './shared-rollout.js';

/** Where a process is among the epochs of the fleet. */
interface EpochAssignment {
  /** The fleet's epoch that was assigned to this process last; 0 for a new process. */
  readonly epoch: number;
  /** The definition that it had then. */
  readonly seenRevision: string;
  /** The definition that it has now; empty before the first. */
  readonly revision: string;
  /** Whether the windows stay when this definition opens an epoch. */
  readonly keepWindows: boolean;
  /** The lowest number of an epoch that this process opens: its own, so that both numbers stay the same. */
  readonly minEpoch: number;
}

/** A change of the state, as every process receives it. */
export interface Announcement {
  /** The stop that is in it; undefined without one. */
  readonly stop: StopNotice | undefined;
  /** Checks and returns all of it; undefined when it is not what a fleet of this version announces. */
  readonly read: () => FleetState | undefined;
}

/** One flush. Sending it twice with the same number does no harm. */
export interface FlushedDelta {
  readonly sequence: number;
  readonly epoch: number;
  /** An `OutcomeDelta` as JSON. */
  readonly text: string;
  /** What it adds to the epoch's totals, by field. */
  readonly totals: readonly (readonly [field: string, by: string])[];
}

/** What the last leader left. */
export interface SavedCheckpoint {
  /** The checkpoint; undefined when there is none of this data. */
  readonly text: string | undefined;
  /** Its rollups, which outlive the checkpoint; undefined when there are none. */
  readonly rollups: EarlierBook | undefined;
  /** How many lines were ever added to the lists of rollups. */
  readonly linesAdded: number;
}

/** Rollups that are saved with a checkpoint, and what the leader has reported. */
export interface SentRollups {
  /** Repeated until they are saved: whoever reads them leaves out what is there twice. */
  readonly events: readonly GuardEvent[];
  /** What the next leader continues with. */
  readonly earlier: EarlierBook;
  /** What is added to the lists. */
  readonly lines: readonly PendingLine[];
  /** {@link SavedCheckpoint.linesAdded} before: a request that is repeated, because its reply was lost, adds no line twice. */
  readonly linesAdded: number;
}

/** What a process sends once per second, or less often while it has no outcomes. */
export interface SyncRequest {
  /** The {@link FleetState.datasetId} that the process saw last; empty at first. Deltas are accepted for the same data only. */
  readonly datasetId: string;
  /** The {@link FleetState.version} that the process saw last. */
  readonly version: number;
  /** The {@link FleetState.oldestEpoch} that the process saw last; 0 at first. */
  readonly oldestEpoch: number;
  readonly assignment: EpochAssignment;
  readonly delta: FlushedDelta | undefined;
  /** The number of its last delta that was accepted; 0 before the first. */
  readonly accepted: number;
  /** What this process's deltas contain; see `feeds.ts`. */
  readonly feeds: string;
  /**
   * The server's time up to which this process has sent the outcome of every exposure, `delta` included; undefined when more
   * waits to be sent.
   */
  readonly settledUpTo: number | undefined;
  /** This process has nothing open, and sends nothing until it has: nothing waits for it. */
  readonly isIdle: boolean;
  /** The server has lost deltas that this process cannot send again: all processes are to send everything anew. */
  readonly rebuild: boolean;
  /** Whether this process may become the leader. */
  readonly mayLead: boolean;
  readonly isLeaving: boolean;
}

/**
 * One process's connection to what a fleet shares, for one flag in one environment. Every method rejects with a
 * {@link FleetError} when the server does not reply as it should.
 */
export interface FleetLink {
  /** This process, unique in the fleet. */
  readonly instance: string;
  /** What operators ask for. */
  readonly controls: ControlLink;
  /** What the fleet keeps of its rollout. Read apart from the rest: readers must not keep the fleet from its work. */
  readonly rollout: SharedRollout;
  /**
   * Checks the server, and announces each change of the state from then on.
   * @param onMissed - Called when changes may not have been announced, because the connection was lost meanwhile.
   * @returns what an operator should change there, each a sentence; nothing when it is open already.
   */
  open(onAnnounced: (announcement: Announcement) => void, onMissed?: () => void): Promise<readonly string[]>;
  sync(request: SyncRequest): Promise<SyncReply>;
  /**
   * Undefined when this process is no longer the leader.
   * @param onSent - Called once when something is sent, if there was nothing: the leader reads seldom until then.
   */
  read(lease: Lease, after: string, count: number, onSent?: () => void): Promise<FleetEntries | undefined>;
  /** What an earlier leader saved. */
  loadCheckpoint(): Promise<SavedCheckpoint>;
  /**
   * Saves a checkpoint with the rollups up to it, and deletes the entries that are in it. `false` when this process is no longer the
   * leader.
   */
  saveCheckpoint(lease: Lease, upTo: string, text: string, rollups: SentRollups): Promise<boolean>;
  /** The processes that have sent something lately; those of another version of this package may be missing. */
  processes(): Promise<FleetProcesses>;
  /** Saves where the rollout stands. `false` when this process is no longer the leader. */
  saveView(lease: Lease, text: string): Promise<boolean>;
  /**
   * Stops the flag in the whole fleet, unless it is stopped already or an operator has undone this decision. A decision of an
   * epoch that an operator has ended, or of a leader that another process has replaced, is refused: it is one of the
   * `clearedStops` then.
   * @param fence - That of the leader that has just decided; undefined when the process decided for itself, or repeats it.
   */
  stop(decision: Decision, fence: number | undefined): Promise<FleetState>;
  /** Unleash accepted the stop. */
  finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<FleetState>;
  /**
   * An operator turned the flag on: clears the stop, and opens an epoch with empty windows.
   * @param minEpoch - See {@link EpochAssignment.minEpoch}.
   */
  clearStop(decisionId: string, revision: string, minEpoch: number): Promise<FleetState>;
  close(): Promise<void>;
}

/** Codes of failures that no retry fixes: an operator must act. */
const ACTION_CODES = [
  'INVALID_CONFIG',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'FOREIGN_DATA',
  'UNSUPPORTED_VERSION',
] as const;

/**
 * What is wrong with the shared store. `UNREACHABLE`: no connection, or no valid reply. `TIMEOUT`: no reply in time.
 * `UNAVAILABLE`: it replies, and accepts no writes now. `INVALID_CONFIG`: the client cannot be made. `UNAUTHENTICATED`: wrong or
 * missing password. `FORBIDDEN`: a command is not allowed. `FOREIGN_DATA`: something else is stored under the guard's names.
 * `UNSUPPORTED_VERSION`: the server is too old.
 *
 * @useDeclaredType
 */
export type FleetErrorCode = 'UNREACHABLE' | 'TIMEOUT' | 'UNAVAILABLE' | (typeof ACTION_CODES)[number];

/** The shared store cannot be used. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  /** What is wrong, for code that must distinguish. */
  readonly code: FleetErrorCode;
  /** Retrying cannot help; an operator must act. */
  readonly requiresAction: boolean;

  constructor(code: FleetErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.requiresAction = (ACTION_CODES as readonly string[]).includes(code);
  }
}

/** Whether an error came from the shared store; works across copies of this package. */
export function isFleetError(error: unknown): error is FleetError {
  return error instanceof Error && error.name === 'FleetError' && 'requiresAction' in error;
}

recognizeCopies(FleetError, isFleetError);

/** Whether every request to the shared store fails like this: the next sync reports it. */
export function isConnectionFailure(error: unknown): boolean {
  return isFleetError(error) && error.code !== 'FORBIDDEN' && error.code !== 'FOREIGN_DATA';
}
