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
 * serve all of them: a timer for each would cost more than the rest of an operation.
 */
export class Deadlines {
  readonly #limitMs: number;
  readonly #now: () => number;
  #earliest: Expiring | undefined;
  #latest: Expiring | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param now - A clock that never goes backwards, in milliseconds. */
  constructor(limitMs: number, now: () => number) {
    this.#limitMs = limitMs;
    this.#now = now;
  }

  /**
   * Lets `item` expire one limit from now. While anything waits, the process stays alive.
   *
   * @param now - The clock's current time.
   */
  add(item: Expiring, now: number): void {
    item.expiresAt = now + this.#limitMs;
    item.earlier = this.#latest;
    if (this.#latest === undefined) this.#earliest = item;
    else this.#latest.later = item;
    this.#latest = item;
    if (this.#timer === undefined) this.#wakeIn(this.#limitMs);
    else if (this.#earliest === item) this.#timer.ref();
  }

  /** Removes `item`, which must be waiting. */
  remove(item: Expiring): void {
    if (item.earlier === undefined) this.#earliest = item.later;
    else item.earlier.later = item.later;
    if (item.later === undefined) this.#latest = item.earlier;
    else item.later.earlier = item.earlier;
    item.earlier = undefined;
    item.later = undefined;
    // The timer stays for the next item, but does not keep the process alive.
    if (this.#earliest === undefined) this.#timer?.unref();
  }

  #wakeIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    const now = this.#now();
    while (this.#earliest !== undefined && this.#earliest.expiresAt <= now) this.#earliest.expire();
    if (this.#earliest !== undefined && this.#timer === undefined)
      this.#wakeIn(this.#earliest.expiresAt - now);
  }
}
