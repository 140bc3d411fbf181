import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import type { GuardEvent } from '../model/event.js';
import type { Verdict } from '../model/shapes.js';
import type { ReportedState } from '../model/state.js';
import type { Clock } from '../support/clock.js';
import type { Intervals } from '../support/intervals.js';
import type { FleetLink } from './fleet-link.js';
import type { FleetProcesses, FleetState, ProcessAbout, StopNotice } from './fleet-shapes.js';

/**
 * `leader`: decides for all. `follower`: another process does. `standalone`: the shared store does not reply, or the fleet has no
 * leader; the process evaluates its own share.
 */
export type FleetRole = 'leader' | 'follower' | 'standalone';

/** What a fleet member reports to its guard. None of these may throw. */
interface FleetMemberListener {
  /** A stop is announced: it applies at once. What the fleet agrees on follows, or {@link onInvalidStop}. */
  readonly onStop: (stop: StopNotice) => void;
  /** What was announced with the stop is not valid: it does not apply, unless the server says so. */
  readonly onInvalidStop: (stop: StopNotice) => void;
  /** What all agree on: after each change and each sync. */
  readonly onState: (state: FleetState) => void;
  /** The fleet's outcomes have changed, and this process is the leader. */
  readonly onOutcomes: () => void;
  /** The number of the fleet's epoch for this process's definition. */
  readonly onEpoch: (epoch: number) => void;
  /** The connection to the shared store was lost (with a reason), or restored (undefined). */
  readonly onConnection: (problem: string | undefined) => void;
  readonly onFault: (what: string, error: unknown) => void;
  /** The processes of the fleet, in the leader: about once a second, and less often in a large fleet. Times are the server's. */
  readonly onProcesses?: ((processes: FleetProcesses) => void) | undefined;
}

/** Whether what a process sends arrives, and whether the leader reads it. Times are lengths in milliseconds. */
export interface MemberProgress {
  /** Why the shared store cannot be used now. */
  readonly problem: string | undefined;
  /** The shared store replies, and no process leads. */
  readonly isLeaderless: boolean;
  /** In the leader: for how long it has not read everything that was sent. */
  readonly unreadMs: number | undefined;
  /** For how long something has been waiting to be sent. */
  readonly undeliveredMs: number;
}

/** The intervals of a fleet, in milliseconds. */
export interface FleetTiming {
  /** How often a process sends what it recorded. */
  readonly flushMs: number;
  /** How often the leader reads what was sent. */
  readonly evaluateMs: number;
  /** How long a silent leader stays the leader, and a silent shared store is waited for. */
  readonly leaseMs: number;
}

/** What the processes of a fleet share: `RedisOutcomeStore` from `unleash-rollout-guard/redis`. */
export interface SharedStore {
  /** How often processes send and the leader evaluates, and when a silent leader is replaced. */
  readonly timing: FleetTiming;
  /**
   * Connects this process to the fleet of one flag in one environment.
   * @internal
   */
  link(flag: {
    readonly flagKey: string;
    readonly environment: string;
    /** What this process says of itself. @default nothing: it is not listed */
    readonly about?: ProcessAbout | undefined;
  }): FleetLink;
}

/** What a fleet member needs. */
export interface FleetMemberOptions {
  /** What this process records. */
  readonly own: MemoryOutcomeStore;
  /** Makes a store for what the fleet recorded. */
  readonly emptyStore: () => MemoryOutcomeStore;
  /** The time of this process's oldest exposure that has no outcome yet, by its own clock; undefined when there is none. */
  readonly openSince?: (() => number | undefined) | undefined;
  /** The rules that are evaluated: what the own store feeds, and what the fleet's is to be fed. */
  readonly rules: readonly FedRule[];
  readonly link: FleetLink;
  readonly clock: Clock;
  /** Fractions 0–1, for jitter. @default Math.random */
  readonly random?: (() => number) | undefined;
  readonly timing: FleetTiming;
  /** Shared with the members of other flags. @default its own */
  readonly intervals?: Intervals | undefined;
  /** Whether this process may become the leader. */
  readonly mayLead: boolean;
  /** Of the service, if it is known. */
  readonly serviceVersion?: string | undefined;
  /** What the leader's rollups have beside the counts. @default nothing */
  readonly observed?:
    | { readonly percentage: () => number | undefined; readonly verdicts: () => readonly Verdict[] }
    | undefined;
  /** What the leader is to mark in the rollups, which it takes from there. @default nothing */
  readonly events?: GuardEvent[] | undefined;
  /** Where the rollout stands, which the leader shows to whoever reads the shared store; undefined while there is nothing. */
  readonly view?: (() => KeyedView | undefined) | undefined;
  /**
   * The first epoch since the flag was turned on, as an earlier run of this process knew it: a server that has lost everything still takes a
   * stop from before the flag went off. @default not known
   */
  readonly oldestEpoch?: (() => number) | undefined;
  /** The definition's revision (see `FlagFacts.revision`); undefined before the first. */
  readonly revision: () => string | undefined;
  /** What the guard has reported, which the next leader continues with. */
  readonly reportedState: { readonly get: () => ReportedState; readonly set: (state: ReportedState) => void };
  readonly listener: FleetMemberListener;
}

/** Where the rollout stands. */
export interface KeyedView {
  /** Differs when something worth showing has changed, and not because time has passed. */
  readonly key: string;
  /** Plain data. */
  readonly view: object;
}

/** What a rule needs to be fed; a trigger fits. */
export interface FedRule {
  readonly name: string;
  /** In milliseconds; 0 for none. */
  readonly windowMs: number;
  /** The sequential test that is to be fed. */
  readonly evidence?: object | undefined;
  /** `instance`: each process evaluates it by itself. */
  readonly scope?: 'fleet' | 'instance' | undefined;
}

/** A rule of the leader for which some processes feed nothing, because they run other rules. */
export interface UnfedRule {
  /** The rule's name. */
  readonly rule: string;
  /** `window`: outcomes of these processes are counted from another window of theirs. `test`: the test does not see them. */
  readonly needs: 'window' | 'test';
  /** How many processes do not feed it. */
  readonly processes: number;
}
