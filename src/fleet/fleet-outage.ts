import { messageOf } from '../support/async/callbacks.js';
import { jittered } from '../support/retry.js';
import { isFleetError } from './fleet-link.js';
import type { FleetMemberOptions } from './fleet-options.js';
import type { ServerClock } from './server-clock.js';

/** Whether what one process sends arrives in the shared store: what is wrong, and when it asks again. */
export class FleetOutage {
  readonly #options: FleetMemberOptions;
  readonly #serverClock: ServerClock;
  #problem: string | undefined;
  /** Whether it was reported that only an operator can help. */
  #isActionReported = false;
  /** Attempts in a row that failed. */
  #failures = 0;
  #asksAt = Number.NEGATIVE_INFINITY;
  /** When nothing was waiting to be sent last. */
  #deliveredAt: number;

  constructor(options: FleetMemberOptions, serverClock: ServerClock) {
    this.#options = options;
    this.#serverClock = serverClock;
    this.#deliveredAt = options.clock.monotonic();
  }

  /** Why the shared store cannot be used now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** For how long something has been waiting to be sent, in milliseconds. */
  get undeliveredMs(): number {
    return this.#options.clock.monotonic() - this.#deliveredAt;
  }

  onDelivered(): void {
    this.#deliveredAt = this.#options.clock.monotonic();
  }

  /** Whether the next attempt is not due yet. */
  get isPausing(): boolean {
    return this.#options.clock.monotonic() < this.#asksAt;
  }

  /** Reports an outage when it begins, and once more if it turns out that only an operator can end it. */
  onFailure(error: unknown): void {
    const { clock, listener, mayLead, random, timing } = this.#options;
    const requiresAction = isFleetError(error) && error.requiresAction;
    const isReported = this.#problem !== undefined && (this.#isActionReported || !requiresAction);
    this.#problem = messageOf(error);
    this.#isActionReported ||= requiresAction;
    if (!isReported) listener.onConnection(this.#problem);
    this.#failures++;
    this.#serverClock.onFailure();
    const longestMs = this.#serverClock.longestPauseMs(mayLead);
    const pauseMs = Math.min(timing.flushMs * 2 ** Math.min(this.#failures, 10), longestMs);
    this.#asksAt = clock.monotonic() + jittered(pauseMs, random);
  }

  onReply(): void {
    this.#failures = 0;
    this.#asksAt = Number.NEGATIVE_INFINITY;
    this.#isActionReported = false;
    const { listener } = this.#options;
    if (this.#serverClock.isLeaderless)
      listener.onFault('the fleet', new Error('The fleet has no leader: no process has an admin token.'));
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    listener.onConnection(undefined);
  }
}
