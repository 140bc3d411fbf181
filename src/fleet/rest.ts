import type { OutcomeDelta } from '../measure/outcome-delta.js';
import type { FleetMemberOptions } from './fleet-options.js';
import type { FleetState } from './fleet-shapes.js';
import type { LocalEpoch, Outbox } from './outbox.js';
import type { ServerClock } from './server-clock.js';

/** A process without outcomes syncs once in so many flushes. */
const HEARTBEAT_FLUSHES = 5;

/** When a process that has nothing to send may send nothing: a large fleet, or one of many flags, is mostly idle. */
export class Rest {
  readonly #options: FleetMemberOptions;
  readonly #serverClock: ServerClock;
  /** The own store's activity up to which everything was taken. */
  #queuedActivity = -1;
  /** Whether the server knows that nothing is to be waited for. */
  #isAnnounced = false;
  /** After so many flushes the next heartbeat is due. */
  #dueAfter = HEARTBEAT_FLUSHES;

  constructor(options: FleetMemberOptions, serverClock: ServerClock) {
    this.#options = options;
    this.#serverClock = serverClock;
  }

  /**
   * Whether nothing waits or is open here, and nothing was recorded since the last delta, nor seen that the fleet does not know.
   *
   * @param last - What the fleet assigned last. When all processes begin an epoch of a definition that it knows, as after a stop that an
   * operator has undone, they do not all say so at once.
   */
  isQuiet(
    { isEmpty }: Outbox,
    { assigned, revision }: LocalEpoch,
    last: { readonly revision: string },
    state: FleetState | undefined,
  ): boolean {
    const { revision: current, clock } = this.#options;
    const isKnown = revision !== undefined && (revision === state?.revision || revision === last.revision);
    const isSettled = isEmpty && this.#hasNothing(clock.now());
    return isSettled && (isKnown || assigned !== undefined) && revision === current();
  }

  /** What was recorded since the previous call; undefined when nothing was, which is all that an idle leader needs to know. */
  takeDelta(now: number): OutcomeDelta | undefined {
    if (this.#hasNothing(now)) return undefined;
    const { own } = this.#options;
    const delta = own.takeDelta(now);
    this.#queuedActivity = own.activity;
    return delta;
  }

  /** Whether nothing is open here, and nothing was recorded since the last delta. */
  #hasNothing(now: number): boolean {
    const { own, openSince } = this.#options;
    const isDue = (own.metrics.metricDueAt ?? Number.POSITIVE_INFINITY) <= now;
    return own.activity === this.#queuedActivity && openSince?.() === undefined && !isDue;
  }

  /** The server has replied. */
  onReply(isIdle: boolean): void {
    // After a change that all have sent at once, their heartbeats are not to come at once as well.
    const { random = Math.random } = this.#options;
    const isFirst = isIdle && !this.#isAnnounced;
    this.#dueAfter = isFirst ? Math.max(1, Math.ceil(random() * HEARTBEAT_FLUSHES)) : HEARTBEAT_FLUSHES;
    this.#isAnnounced = isIdle;
  }

  /** Rests, if the server knows that there is nothing to wait for. @returns whether nothing is to be sent now. */
  begin(): boolean {
    const { timing, mayLead } = this.#options;
    return this.#isAnnounced && this.#serverClock.rest(this.#dueAfter * timing.flushMs, mayLead);
  }
}
