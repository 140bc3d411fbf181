import type { ControlReply, ControlRequest, ControlState } from '../model/control.js';
import type { FleetState, Lease } from './fleet-shapes.js';

/** How long a leader may take to begin with a request, in milliseconds; a request that it has begun is always finished. */
export const REQUEST_LIFETIME_MS = 30_000;

/**
 * Requests of operators in the store that a fleet shares: any process, or the command line, sends one; the leader takes it, and keeps it
 * there until it has answered, so that the next leader continues where one has died. Every method rejects with a `FleetError`
 * when the server does not reply as it should.
 */
export interface ControlLink {
  /** Sends a request. @throws FleetError with code `UNAVAILABLE` when too many wait. */
  send(request: ControlRequest): Promise<void>;
  /** The answer to a request; undefined before. */
  reply(id: string): Promise<ControlReply | undefined>;
  /** Takes back a request that no leader has begun with. @returns whether it is gone without an answer. */
  withdraw(id: string): Promise<boolean>;
  /** What waits for the leader, oldest first, without what is too late to begin with; undefined when another process leads. */
  take(lease: Lease): Promise<readonly ControlRequest[] | undefined>;
  /** Notes what the leader is about to do: it is not withdrawn any more. `false` when it was, or another process leads. */
  begin(lease: Lease, request: ControlRequest): Promise<boolean>;
  /**
   * Shares what is in force, and with it the answer to a request: both or none. `false` when another process leads.
   *
   * @param answer - Undefined when nothing is answered.
   */
  save(
    lease: Lease,
    state: ControlState,
    answer: { readonly id: string; readonly reply: ControlReply } | undefined,
  ): Promise<boolean>;
  /** What all processes agree on. */
  state(): Promise<FleetState>;
}
