import type { GuardEvent } from './event.js';
import type { RolloutView } from './rollout-view.js';
import type { Decision, Outcome } from './shapes.js';

/** What a process has decided since it began, which a view does not have. */
export interface DecisionCount extends Pick<Decision, 'action' | 'dryRun'> {
  /** Who: triggers, or an operator or an alert. */
  readonly by: 'triggers' | 'request';
  /** How many there were. */
  readonly count: number;
}

/** The flag of a guard, and where it is in Unleash: always the same object for one guard. */
export interface GuardedFlag {
  /** The flag's name in Unleash. */
  readonly flagKey: string;
  /** Its project in Unleash. */
  readonly project: string;
  /** The environment in which the guard guards it. */
  readonly environment: string;
}

/** The figures of one flag's guard in this process. */
export interface GuardFigures {
  /** Where the rollout stands. */
  readonly view: RolloutView;
  /** Whether this process decides for its fleet, or is alone. */
  readonly leads: boolean;
  /** Each kind of decision, also those of which there was none. */
  readonly decisions: readonly DecisionCount[];
  /** Failures of anything but a stop itself. */
  readonly faults: number;
  /** Alerts of monitoring systems that fire. */
  readonly firingAlerts: number;
}

/**
 * Sees what guards see and do, for metrics and the like; several guards may share one. Its methods run within the user's
 * request, so they touch memory only. What one throws is reported once as a `fault` and goes no further.
 */
export interface GuardObserver {
  /**
   * Called when the guard of this flag starts.
   *
   * @param figures - Where its rollout stands whenever it is called, until the guard reports
   * that it is `closed`.
   */
  started?(flag: GuardedFlag, figures: () => GuardFigures): void;
  /** Called once for each outcome, after the guard has counted it. */
  outcome?(outcome: Outcome, flag: GuardedFlag): void;
  /** Called for everything that the guard of this flag does. */
  event?(event: GuardEvent, flag: GuardedFlag): void;
}
