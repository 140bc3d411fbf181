import type { Clock } from '../support/clock.js';
import type { SyncReply } from './fleet-shapes.js';

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

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** The server's clock minus this process's, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Whether the server has replied within the lease. */
  get isAlive(): boolean {
    return this.silentMs <= this.#leaseMs;
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

  /** Call it when a request is sent; pass the result to {@link onReply}. */
  onRequest(): SentAt {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic() };
  }

  onReply(sentAt: SentAt, { now, leader }: SyncReply): void {
    // The reply was made about half-way.
    this.#offsetMs = Math.round(now - (sentAt.wall + this.#clock.now()) / 2);
    // A new process gives the others time to become the leader.
    if (this.#repliedAt === undefined || leader !== undefined) this.#leaderSeenAt = sentAt.monotonic;
    this.#repliedAt = sentAt.monotonic;
  }
}
