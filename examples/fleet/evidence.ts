import type { EmbeddedEvent } from 'unleash-rollout-guard/testing';
import type { Counts } from './messages.js';

/** Something that happened in one process; undefined when it did not. Times are milliseconds since 1970. */
export interface InProcess {
  readonly process: string;
  readonly at: number | undefined;
}

/** What the users got. */
export interface Answers {
  /** Uploads of which the user got the right receipt. */
  readonly right: number;
  readonly wrong: number;
  /** Requests that another process took, because the user's was gone. */
  readonly movedOn: number;
}

/** From the moment the new path breaks in all processes to the stop. */
export interface Act {
  /** Uploads by the new path that the leader had counted without a breach. */
  readonly countedBefore: number;
  readonly brokenAt: number;
  readonly firstFallbackAt: number | undefined;
  /** The process that decided. */
  readonly leader: string | undefined;
  readonly reason: string | undefined;
  readonly decidedAt: number | undefined;
  readonly stops: readonly InProcess[];
  readonly offAt: number | undefined;
  readonly isOnInUnleash: boolean;
  /** Calls of the new path that began in a process after its stop. */
  readonly startedAfterStop: number;
}

/** The leader dies, an operator turns the flag on, another process leads. */
export interface Handover {
  readonly killed: string;
  readonly killedAt: number;
  readonly turnedOnAt: number;
  readonly newLeader: string;
  readonly newLeaderAt: number;
  readonly rearmed: readonly InProcess[];
}

/** What Redis has, and what it should have. */
export interface Tally {
  readonly inRedis: Counts;
  /** What the processes report, and of one that was killed, what its users got. */
  readonly said: Counts;
}

/** Everything that was seen; the claims at the end are checked against it. */
export interface Evidence {
  readonly acts: readonly [Act, Act];
  readonly handover: Handover;
  /** While all processes lived. */
  readonly tallyBefore: Tally;
  readonly tallyAfter: Tally;
  /** Uploads of the killed process's last seconds: those of the last one were in no delta yet. */
  readonly unsentAtMost: number;
  readonly answers: Answers;
  /** Unleash's own history, newest first. */
  readonly history: readonly EmbeddedEvent[];
  /** What did not work, by the processes' own word. */
  readonly faults: readonly string[];
}
