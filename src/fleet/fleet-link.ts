import type { Decision } from '../model/shapes.js';
import type { FleetEntries, FleetState, SyncReply } from './fleet-shapes.js';

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

/** One flush. Sending it twice with the same number does no harm. */
export interface FlushedDelta {
  readonly sequence: number;
  readonly epoch: number;
  /** An `OutcomeDelta` as JSON. */
  readonly text: string;
  /** What it adds to the epoch's totals, by field. */
  readonly totals: readonly (readonly [field: string, by: string])[];
  /** Accept it though deltas before it are missing: they are lost. */
  readonly skipsLost: boolean;
}

/** What a process sends once per second. */
export interface SyncRequest {
  /** The {@link FleetState.datasetId} that the process saw last; empty at first. Deltas are accepted for the same data only. */
  readonly datasetId: string;
  /** The {@link FleetState.version} that the process saw last. */
  readonly version: number;
  readonly assignment: EpochAssignment;
  readonly delta: FlushedDelta | undefined;
  /** Whether this process may become the leader. */
  readonly mayLead: boolean;
}

/**
 * One process's connection to what a fleet shares, for one flag in one environment. Every method rejects with a
 * {@link FleetError} when the server does not reply as it should.
 */
export interface FleetLink {
  /** This process, unique in the fleet. */
  readonly instance: string;
  /** Checks the server, and reports each change of the state from then on. */
  open(onState: (state: FleetState) => void): Promise<void>;
  sync(request: SyncRequest): Promise<SyncReply>;
  /** Undefined when this process is no longer the leader. */
  read(fence: number, after: string, count: number): Promise<FleetEntries | undefined>;
  /** The checkpoint of an earlier leader; undefined when there was none. */
  loadCheckpoint(): Promise<string | undefined>;
  /** Saves a checkpoint, and deletes the entries that are in it. `false` when this process is no longer the leader. */
  saveCheckpoint(fence: number, upTo: string, text: string): Promise<boolean>;
  /** Stops the flag in the whole fleet, unless it is stopped already or an operator has undone this decision. */
  stop(decision: Decision): Promise<FleetState>;
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
 */
export type FleetErrorCode = 'UNREACHABLE' | 'TIMEOUT' | 'UNAVAILABLE' | (typeof ACTION_CODES)[number];

/** The shared store cannot be used. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  readonly code: FleetErrorCode;
  /** Retrying cannot help; an operator must act. */
  readonly requiresAction: boolean;

  constructor(code: FleetErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.requiresAction = (ACTION_CODES as readonly string[]).includes(code);
  }
}

/** Whether an error came from the shared store. */
export function isFleetError(error: unknown): error is FleetError {
  return error instanceof FleetError;
}
