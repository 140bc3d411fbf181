import type { Trigger } from '../../triggers/trigger.js';

/** The rules whose behaviour is simulated; a preset and a guard's options fit. */
export interface SimulatedRules {
  readonly rollback: readonly Trigger[];
  readonly review?: readonly Trigger[] | undefined;
}

/** The traffic of one stage of a rollout. Rates and shares are fractions. */
export interface Scenario {
  /** The treatment's share of the users, above 0, at most 1. At 1 no control remains. */
  readonly share: number;
  readonly controlFailureRate: number;
  readonly treatmentFailureRate: number;
  /** Requests of both arms; they arrive by chance (a Poisson process). */
  readonly requestsPerSecond: number;
  /** How long the stage lasts, in milliseconds. */
  readonly durationMs: number;
  /** How many users there are: each keeps its arm and sends many requests. Undefined: each request is of another user. */
  readonly users?: number | undefined;
  /** The median duration of the control's requests, in milliseconds; durations are lognormal with σ = 0.5. */
  readonly latencyMs: number;
  /** How many times as long the treatment takes. */
  readonly slowdown: number;
}

/** How one simulated stage went. */
export interface SimulatedRollout {
  /** Names of the triggers that stopped it; empty when none did. */
  readonly stoppedBy: readonly string[];
  /** When it was stopped, or ended, in milliseconds from its start. */
  readonly endedAtMs: number;
  /** Requests of the treatment until then. */
  readonly treatmentRequests: number;
  /** How many of them failed. */
  readonly treatmentFailures: number;
  /** Reviews that were opened until then, by trigger. */
  readonly reviews: readonly string[];
}
