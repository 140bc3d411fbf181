import type { GuardEvent } from './event.js';
import type { Outcome } from './shapes.js';

/**
 * Sees what guards see and do, for metrics and the like; several guards may share one. Its methods run within the user's
 * request, so they touch memory only. What one throws is reported once as a `fault` and goes no further.
 */
export interface GuardObserver {
  /** Called once for each outcome, after the guard has counted it. */
  outcome?(outcome: Outcome): void;
  /** Called for everything that the guard of this flag does. */
  event?(event: GuardEvent, flagKey: string): void;
}
