import type { MemberProgress } from '../../fleet/fleet-options.js';
import type { FlagSourceHealth } from '../../model/flags.js';
import type { ObservationCounts } from '../observe/observation-counts.js';

/** Something that makes a guard blind. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  /** When it began, milliseconds since 1970, where that is known. @default when it was first seen */
  readonly since?: number | undefined;
}

/** Everything that the checks evaluate, at one moment. Times are lengths in milliseconds, by the monotonic clock. */
export interface HealthFacts {
  readonly flagKey: string;
  /** `new`: not started, or still starting. `failed`: `start()` rejected. */
  readonly lifecycle: 'new' | 'failed' | 'running' | 'closed';
  readonly startFailure: string | undefined;
  readonly tickMs: number;
  /** How much later than planned the last tick came, or the next one is. */
  readonly tickLateMs: number;
  /** Why the last tick failed; undefined when it did not. */
  readonly tickFailure: string | undefined;
  /** For how long an outcome has been waiting to be evaluated; undefined when none is. */
  readonly unevaluatedMs: number | undefined;
  readonly outcomeTimeoutMs: number;
  readonly fleet: FleetProgress | undefined;
  readonly source: FlagSourceHealth;
  /** Whether the provider has the flag's definition. */
  readonly isFlagKnown: boolean;
  /** The name of the provider that OpenFeature evaluates through in place of the guard's; undefined while it has the guard's. */
  readonly replacedBy: string | undefined;
  /** Whether the new path runs under this guard's protection: the guard is armed, and the flag is on. */
  readonly isWatching: boolean;
  /** What the admin client found out about its token and the flag. */
  readonly admin: readonly Problem[];
  /** Rollback triggers that failed when they were evaluated last. */
  readonly brokenTriggers: readonly string[];
  /** Signals of rollback triggers that cannot be read. */
  readonly unreadableSignals: readonly { readonly trigger: string; readonly problem: string }[];
  /** Whether a rollback trigger on rates, durations or evidence has enough data; undefined when there is no such trigger. */
  readonly hasRuleData: boolean | undefined;
  /** The age of the treatment's latest outcome. */
  readonly outcomeAgeMs: number | undefined;
  readonly observed: ObservationCounts;
}

/** Whether what a fleet records arrives and is read. */
export interface FleetProgress extends MemberProgress {
  readonly flushMs: number;
  readonly evaluateMs: number;
  /** Whether this process has an admin token. */
  readonly mayLead: boolean;
  /** Whether this process has observed anything itself; a controller has not. */
  readonly observes: boolean;
}
