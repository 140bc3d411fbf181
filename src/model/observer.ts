import type { GuardEvent } from './event.js';
import type { Outcome } from './shapes.js';

/**
 * Watches what guards see and do, for metrics and the like; several guards may share one. It is called while the user
 * waits, so it touches memory only. What it throws is told once as a `fault` and goes no further.
 */
export interface GuardObserver {
  /** Called once for each outcome, after the guard has counted it. */
  outcome?(outcome: Outcome): void;
  /** Called for everything that the guard of this flag does. */
  event?(event: GuardEvent, flagKey: string): void;
}
