import type { Clock } from '../support/clock.js';

/** What a process knows of the server: whether it answers, what its clock says, and whether somebody judges. */
export class ServerClock {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #offsetMs = 0;
  #answeredAt: number | undefined;
  #leaderSeenAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** The server's clock minus this process's, in milliseconds. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Whether the server has answered lately. */
  get isAlive(): boolean {
    return this.silentMs <= this.#leaseMs;
  }

  /** For how long the server has not answered. */
  get silentMs(): number {
    return this.#answeredAt === undefined
      ? Number.POSITIVE_INFINITY
      : this.#clock.monotonic() - this.#answeredAt;
  }

  /** Nobody judges, for longer than one process takes over from another. */
  get isLeaderless(): boolean {
    return this.#clock.monotonic() - this.#leaderSeenAt > 2 * this.#leaseMs;
  }

  /** When a question is sent. */
  begin(): { readonly wall: number; readonly monotonic: number } {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic() };
  }

  /** The answer to it. */
  onReply(
    sentAt: ReturnType<ServerClock['begin']>,
    reply: { readonly now: number; readonly judge: string | undefined },
  ): void {
    // The answer was made about half-way.
    this.#offsetMs = Math.round(reply.now - (sentAt.wall + this.#clock.now()) / 2);
    // Whoever comes new gives the others time to become the judge.
    if (this.#answeredAt === undefined || reply.judge !== undefined) this.#leaderSeenAt = sentAt.monotonic;
    this.#answeredAt = sentAt.monotonic;
  }
}
