import type { Clock } from '../support/clock.js';
import { isLate, RunningTime } from '../support/running-time.js';

/** Something that ends when its time is up. The links belong to {@link Deadlines}. */
export interface Expiring {
  expiresAt: number;
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  /** The time is up. Removes itself with {@link Deadlines.remove}, and must not throw. */
  expire(): void;
}

/**
 * Time limits that are all equally long. They end in the order in which they begin, so one timer and a linked list
 * serve all of them: a timer for each would cost more than the rest of an operation. Only the time in which the process runs
 * counts, and answers that wait in a socket are read before anything expires.
 */
export class Deadlines {
  readonly #limitMs: number;
  readonly #clock: Clock;
  readonly #time: RunningTime;
  #earliest: Expiring | undefined;
  #latest: Expiring | undefined;
  /** From the first item on, until it has found that none is left. */
  #isWaking = false;
  /** Undefined also while what it found is about to expire. */
  #timer: NodeJS.Timeout | undefined;
  #dueAt = 0;

  constructor(limitMs: number, clock: Clock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
    this.#time = new RunningTime(clock, () => this.#release());
  }

  /**
   * Lets `item` expire one limit from now. While anything waits, and a tenth of a second longer, the process stays alive.
   *
   * @param now - The current time of the monotonic clock.
   */
  add(item: Expiring, now: number): void {
    if (!this.#isWaking) {
      this.#isWaking = true;
      this.#time.start();
      this.#wakeIn(this.#limitMs);
    }
    item.expiresAt = this.#time.at(now) + this.#limitMs;
    item.earlier = this.#latest;
    if (this.#latest === undefined) this.#earliest = item;
    else this.#latest.later = item;
    this.#latest = item;
  }

  /** See {@link RunningTime.isCatchingUp}. */
  get isCatchingUp(): boolean {
    return this.#time.isCatchingUp;
  }

  /** Removes `item`, which must be waiting. */
  remove(item: Expiring): void {
    if (item.earlier === undefined) this.#earliest = item.later;
    else item.earlier.later = item.later;
    if (item.later === undefined) this.#latest = item.earlier;
    else item.later.earlier = item.earlier;
    item.earlier = undefined;
    item.later = undefined;
  }

  /** Leaves no timer behind. At a beat: in every call it would cost a fifth of it. */
  #release(): void {
    if (this.#earliest !== undefined || this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#rest();
  }

  #rest(): void {
    this.#timer = undefined;
    this.#isWaking = false;
    this.#time.stop();
  }

  #wakeIn(delayMs: number): void {
    this.#dueAt = this.#clock.monotonic() + delayMs;
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    const leftMs = this.#leftMs();
    if (leftMs !== undefined && leftMs > 0) {
      this.#wakeIn(leftMs);
      return;
    }
    this.#timer = undefined;
    if (isLate(this.#dueAt, this.#clock)) setImmediate(() => this.#expire());
    else this.#expire();
  }

  #expire(): void {
    if (this.#time.isCatchingUp) {
      setImmediate(() => this.#expire());
      return;
    }
    let leftMs = this.#leftMs();
    while (leftMs !== undefined && leftMs <= 0) {
      this.#earliest?.expire();
      leftMs = this.#leftMs();
    }
    if (leftMs === undefined) this.#rest();
    else this.#wakeIn(leftMs);
  }

  /** The time until the next item expires; undefined when none waits. */
  #leftMs(): number | undefined {
    if (this.#earliest === undefined) return undefined;
    return this.#earliest.expiresAt - this.#time.at(this.#clock.monotonic());
  }
}
