import type { Announcement } from './fleet-link.js';
import type { FleetMemberOptions } from './fleet-options.js';
import type { FleetState, StopNotice } from './fleet-shapes.js';
import type { ServerClock } from './server-clock.js';
import { spreadMs } from './spread.js';

/** Fewer processes than these do not get in each other's way. */
const LARGE_FLEET = 100;
/** Time of what follows from a stop, for each process, in milliseconds. */
const EACH_MS = 0.1;
/** In this share of the time, stops come to all processes and nothing else happens. */
const STOPS_FIRST = 0.2;

interface AnnouncementHandlers {
  /** Whether it is later than what this process knows. */
  readonly isLater: (stop: StopNotice) => boolean;
  readonly onState: (state: FleetState) => void;
  /** Asks the server: what was sent to it before may be answered before a change. */
  readonly sync: () => void;
}

/**
 * What is announced to all processes of a fleet at once, in one of them. A stop applies before anything else happens. What follows from
 * it takes much longer: it has a turn of the event loop of its own, and among many processes, which may share a few machines, it waits
 * until the stop is everywhere, and is spread.
 */
export class Announcements {
  readonly #options: FleetMemberOptions;
  readonly #serverClock: ServerClock;
  readonly #handlers: AnnouncementHandlers;
  readonly #waiting = new Set<() => void>();
  #hasEnded = false;

  constructor(options: FleetMemberOptions, serverClock: ServerClock, handlers: AnnouncementHandlers) {
    this.#options = options;
    this.#serverClock = serverClock;
    this.#handlers = handlers;
  }

  /** See `FleetLink.open`. */
  open(): Promise<readonly string[]> {
    return this.#options.link.open(
      (announcement) => this.#receive(announcement),
      () => this.#later(this.#handlers.sync),
    );
  }

  #receive({ stop, read }: Announcement): void {
    const { isLater, onState } = this.#handlers;
    if (stop === undefined) {
      const state = read();
      if (state !== undefined) onState(state);
      return;
    }
    if (!isLater(stop)) return;
    this.#options.listener.onStop(stop);
    this.#later(() => this.#follow(stop, read()));
  }

  #later(run: () => void): void {
    if (this.#hasEnded) {
      run();
      return;
    }
    const { random = Math.random } = this.#options;
    const runOnce = () => {
      if (this.#waiting.delete(runOnce)) run();
    };
    this.#waiting.add(runOnce);
    const { processes } = this.#serverClock;
    const longestMs = spreadMs(processes, EACH_MS);
    if (processes < LARGE_FLEET) setImmediate(runOnce);
    else setTimeout(runOnce, longestMs * (STOPS_FIRST + (1 - STOPS_FIRST) * random())).unref();
  }

  #follow(stop: StopNotice, state: FleetState | undefined): void {
    const { onState, sync } = this.#handlers;
    if (state !== undefined) {
      onState(state);
      return;
    }
    this.#options.listener.onInvalidStop(stop);
    sync();
  }

  /** The process leaves: nothing waits any longer. */
  end(): void {
    this.#hasEnded = true;
    for (const runOnce of this.#waiting) runOnce();
  }
}
