import { recognizeCopies } from '../../support/data/kind.js';

/**
 * Why a guard refuses a request of an operator. Stable.
 *
 * `NOT_RUNNING`: the guard was not started, or is closed. `DRY_RUN`: it acts on nothing. `STOPPED`: the flag is stopped. `FLAG_OFF`: it is
 * off, or missing, in Unleash. `NO_TOKEN`: no process has an admin token. `NO_STAGES`: there is no plan. `NO_STAGE`: the percentage
 * belongs to none. `LAST_STAGE`: there is no next one. `NOT_MET`: the stage is not met. `MOVED`: Unleash has another percentage by now,
 * or not exactly one gradual rollout. `UNLEASH`: Unleash refused, or did not reply. `UNKNOWN_TRIGGER`, `NO_REVIEW`, `NOT_HELD`,
 * `NOT_MUTED`: there is nothing of that name. `FLEET`: the shared store does not reply, or no process leads. `NO_REPLY`: no guard has
 * answered in time; the request was withdrawn. `TOO_MANY_ALERTS`: more alerts fire than a guard remembers.
 */
export type ControlErrorCode =
  | 'NOT_RUNNING'
  | 'DRY_RUN'
  | 'STOPPED'
  | 'FLAG_OFF'
  | 'NO_TOKEN'
  | 'NO_STAGES'
  | 'NO_STAGE'
  | 'LAST_STAGE'
  | 'NOT_MET'
  | 'MOVED'
  | 'UNLEASH'
  | 'UNKNOWN_TRIGGER'
  | 'NO_REVIEW'
  | 'NOT_HELD'
  | 'NOT_MUTED'
  | 'FLEET'
  | 'NO_REPLY'
  | 'TOO_MANY_ALERTS';

/** A request of an operator was refused; nothing was changed. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  /** Why it was refused, for code that must distinguish. */
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Whether an error is a {@link ControlError}; works across copies of this package. */
export function isControlError(error: unknown): error is ControlError {
  return error instanceof Error && error.name === 'ControlError' && 'code' in error;
}

recognizeCopies(ControlError, isControlError);
