import type { Clock } from '../support/clock.js';
import type { SyncReply } from './fleet-shapes.js';
import { longestPauseMs, MANY_PROCESSES } from './spread.js';

/** When a request was sent, by both of this process's clocks. */
export interface SentAt {
  readonly wall: number;
  readonly monotonic: number;
}

/** The server as one process sees it: whether it replies, what its clock shows, and whether the fleet has a leader. */
export class ServerClock {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #offsetMs = 0;
  #repliedAt: number | undefined;
  #leaderSeenAt = Number.NEGATIVE_INFINITY;
  #hasLeader = false;
  /** Since it replied last. */
  #hasFailed = false;
  #processes = 0;
  #candidates = 0;
  /** When this process last had nothing to send, and sent nothing. */
  #restedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** The server's clock minus this process's, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** The server's time. */
  get now(): number {
    return this.at(this.#clock.now());
  }

  /** The server's time at a time of this process. */
  at(now: number): number {
    return now + this.#offsetMs;
  }

  /** How many processes were seen within a day, when the server replied last. */
  get processes(): number {
    return this.#processes;
  }

  /** Whether the server has replied within the lease, or was not asked. */
  get isAlive(): boolean {
    return Math.min(this.silentMs, this.#clock.monotonic() - this.#restedAt) <= this.#leaseMs;
  }

  /** For how long the server has not replied, in milliseconds. */
  get silentMs(): number {
    return this.#repliedAt === undefined
      ? Number.POSITIVE_INFINITY
      : this.#clock.monotonic() - this.#repliedAt;
  }

  /** Whether the fleet, when the server replied last, had had no leader for longer than one process takes over from another. */
  get isLeaderless(): boolean {
    return this.#repliedAt !== undefined && this.#repliedAt - this.#leaderSeenAt > 2 * this.#leaseMs;
  }

  /** How long a process waits at most before it asks a server again that has failed, in milliseconds. */
  longestPauseMs(mayLead: boolean): number {
    return longestPauseMs({ processes: this.#processes, candidates: this.#candidates }, mayLead);
  }

  /**
   * Rests, if nothing is lost by that: a process with nothing to send sends a heartbeat only. Not while it is one of few
   * that may lead, of which one is to take over at once; and while the fleet has no leader, only one that cannot lead, in a large fleet.
   *
   * @returns whether it rests now.
   */
  rest(heartbeatMs: number, mayLead: boolean): boolean {
    const mayTakeOver = mayLead && this.#candidates < MANY_PROCESSES;
    const isNeeded = this.#hasLeader ? mayTakeOver : mayLead || this.#processes < MANY_PROCESSES;
    if (isNeeded || this.silentMs >= heartbeatMs) return false;
    this.#restedAt = this.#clock.monotonic();
    return true;
  }

  /** Call it when a request is sent; pass the result to {@link onReply}. */
  onRequest(): SentAt {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic() };
  }

  onFailure(): void {
    this.#hasFailed = true;
  }

  onReply(sentAt: SentAt, { now, leader, processes, candidates }: SyncReply): void {
    this.#hasLeader = leader !== undefined;
    this.#processes = processes;
    this.#candidates = candidates;
    // The reply was made about half-way.
    this.#offsetMs = Math.round(now - (sentAt.wall + this.#clock.now()) / 2);
    // A new process gives the others time to become the leader; and none could while the server did not reply.
    if (this.#repliedAt === undefined || leader !== undefined) this.#leaderSeenAt = sentAt.monotonic;
    else if (this.#hasFailed && this.silentMs > this.#leaseMs)
      this.#leaderSeenAt += sentAt.monotonic - this.#repliedAt;
    this.#hasFailed = false;
    this.#repliedAt = sentAt.monotonic;
  }
}
