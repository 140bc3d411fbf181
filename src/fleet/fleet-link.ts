import type { Decision } from '../model/shapes.js';

/** What all processes of a fleet agree on for one flag. Times are the server's. */
export interface FleetState {
  /** Of the server's data: another one means that the data was lost and begun anew. */
  readonly datasetId: string;
  /** Raised with every change. */
  readonly version: number;
  /** 0 until the first process has shown a definition. */
  readonly epoch: number;
  readonly epochStartedAt: number;
  /** Outcomes of earlier epochs count in no window. */
  readonly oldestEpoch: number;
  /** The definition (see `FlagFacts.revision`) that the epoch belongs to. */
  readonly revision: string;
  /** The stop that holds in the whole fleet. */
  readonly stop: FleetStop | undefined;
  /** The latest decisions that a person has undone, by identifier. */
  readonly clearedStops: readonly string[];
}

/** A stop that was decided by one process and holds in all. */
export interface FleetStop {
  readonly decision: Decision;
  /** How Unleash stands: undefined until it took the stop. */
  readonly done: 'off' | 'stepped-back' | undefined;
}

/** Where a process stands among the epochs of the fleet. */
export interface EpochAssignment {
  /** The fleet's epoch that this process was last told; 0 for a process that comes new. */
  readonly epoch: number;
  /** The definition that it had then. */
  readonly seenRevision: string;
  /** The definition that it has now; empty before the first. */
  readonly revision: string;
  /** Whether the windows stay when this definition opens an epoch. */
  readonly keepWindows: boolean;
  /** The least number of an epoch that this process opens: its own, so that both numbers stay the same. */
  readonly atLeast: number;
}

/** One flush. Sent again with the same number, it does no harm. */
export interface FlushedDelta {
  readonly sequence: number;
  readonly epoch: number;
  /** An `OutcomeDelta` as JSON. */
  readonly text: string;
  /** What it adds to the epoch's totals, by field. */
  readonly totals: readonly (readonly [field: string, by: string])[];
  /** Take it though deltas before it are missing: they are lost. */
  readonly skipsLost: boolean;
}

/** What a process says once per second. */
export interface SyncRequest {
  /** The {@link FleetState.datasetId} that the process knows; empty at first. Deltas are taken for the same data only. */
  readonly datasetId: string;
  /** The {@link FleetState.version} that the process knows. */
  readonly version: number;
  readonly seat: EpochAssignment;
  readonly delta: FlushedDelta | undefined;
  /** Whether this process may judge. */
  readonly mayLead: boolean;
}

/** What it is told. */
export interface SyncReply {
  /** The server's time. */
  readonly now: number;
  /**
   * `duplicate`: taken before. `gap`: deltas after {@link lastSequence} are missing. `full`: nobody judges, and no more is
   * kept: later. `unknown-data`: the server's data is not what the process knows.
   */
  readonly delta: 'none' | 'taken' | 'duplicate' | 'gap' | 'full' | 'unknown-data';
  /** The last delta of this process that was taken. */
  readonly lastSequence: number;
  /** The epoch of the process's definition; 0 without one. */
  readonly assignedEpoch: number;
  /** Who judges. */
  readonly judge: string | undefined;
  /** This process judges, under this number; a later judge has a higher one. */
  readonly fence: number | undefined;
  /** Undefined when the process knows it already. */
  readonly state: FleetState | undefined;
}

/** What the judge reads, in the order in which the server took it. */
export type FleetEntry =
  | { readonly id: string; readonly type: 'delta'; readonly text: string }
  | {
      readonly id: string;
      readonly type: 'epoch';
      readonly epoch: number;
      readonly at: number;
      readonly keepWindows: boolean;
    };

/** Entries after the one that was read last. */
export interface FleetEntries {
  readonly entries: readonly FleetEntry[];
  /** Of the server's process: another one may have lost what was read before. */
  readonly serverRun: string;
}

/** What a link tells without being asked. */
export interface FleetListener {
  /** The state has changed. */
  readonly onState: (state: FleetState) => void;
}

/**
 * One process's connection to what a fleet shares, for one flag in one environment. Every method rejects when the server
 * cannot be asked; a {@link FleetError} with `requiresAction` when asking again cannot help.
 */
export interface FleetLink {
  /** This process, unique in the fleet. */
  readonly instance: string;
  /** Checks the server and listens from then on. */
  open(listener: FleetListener): Promise<void>;
  sync(request: SyncRequest): Promise<SyncReply>;
  /** Undefined when this process no longer judges. */
  read(fence: number, after: string, count: number): Promise<FleetEntries | undefined>;
  /** What an earlier judge knew; undefined when there was none. */
  loadCheckpoint(): Promise<string | undefined>;
  /** Keeps what the judge knows up to an entry, which need not be kept any longer. `false` when it no longer judges. */
  saveCheckpoint(fence: number, upTo: string, text: string): Promise<boolean>;
  /** Stops the flag in the whole fleet, unless it is stopped already or a person has undone this decision. */
  stop(decision: Decision): Promise<FleetState>;
  /** Unleash took the stop. */
  finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<FleetState>;
  /**
   * A person turned the flag on again: lifts the stop, and opens an epoch with empty windows.
   * @param atLeast - See {@link EpochAssignment.atLeast}.
   */
  clearStop(decisionId: string, revision: string, atLeast: number): Promise<FleetState>;
  close(): Promise<void>;
}

/** The shared store cannot be used. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  /** Asking again cannot help; a person must act. */
  readonly requiresAction: boolean;

  constructor(message: string, options: { readonly requiresAction: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.requiresAction = options.requiresAction;
  }
}

/** Whether an error came from the shared store. */
export function isFleetError(error: unknown): error is FleetError {
  return error instanceof FleetError;
}
