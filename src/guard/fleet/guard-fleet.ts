import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { Decision } from '../../model/shapes.js';
import type { GuardState } from '../../model/state.js';
import type { GuardInput } from '../decide/decide.js';
import type { FleetStatus } from '../guard-status.js';

/** What a fleet changes in this process's guard. */
export interface FleetHandlers {
  readonly state: () => GuardState;
  readonly dispatch: (input: GuardInput) => void;
  /** The fleet's number of the epoch for this process's definition. */
  readonly skipTo: (epoch: number) => void;
  /** The fleet's outcomes have changed, and this process evaluates them. */
  readonly evaluate: () => void;
}

/** What {@link GuardFleet.evaluated} offers. */
export type EvaluatedStore = Pick<MemoryOutcomeStore, 'snapshot' | 'beginEpoch'>;

/** The processes that guard one flag together, as one of them sees them. */
export interface GuardFleet {
  /** The outcomes that this process evaluates: its own, or, in a fleet's leader, those of all. */
  readonly evaluated: EvaluatedStore;
  /** Whether this process talks to Unleash and to operators for the fleet, or, cut off, for itself. */
  readonly leads: boolean;
  /** Whether this process evaluates all rollback triggers. Otherwise only those about the process itself. */
  readonly evaluates: boolean;
  /** Whether this process evaluates reviews and the stage. */
  readonly evaluatesStages: boolean;
  /** Whether outcomes are evaluated when the fleet's have arrived, instead of after each outcome of this process. */
  readonly isConnected: boolean;
  /** Undefined when this process shares no store with others. */
  status(): FleetStatus | undefined;
  start(handlers: FleetHandlers): Promise<void>;
  close(): Promise<void>;
  /** Sends what this process recorded without waiting for the next flush. */
  flushSoon(): void;
  /** This process has stopped the flag. */
  stopped(decision: Decision): void;
  /** Unleash confirmed the stop. */
  finished(decision: Decision, done: 'off' | 'stepped-back'): void;
  /** This process re-armed after this decision. */
  reArmed(decision: Decision): void;
}

/** A fleet of one: this process decides everything for itself. */
export function soloFleet(own: EvaluatedStore): GuardFleet {
  return {
    evaluated: own,
    leads: true,
    evaluates: true,
    evaluatesStages: true,
    isConnected: false,
    status: () => undefined,
    start: async () => {},
    close: async () => {},
    flushSoon: () => {},
    stopped: () => {},
    finished: () => {},
    reArmed: () => {},
  };
}
