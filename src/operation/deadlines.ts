/** Something that ends when its time is up. */
export interface Expiring {
  /** Set by {@link Deadlines}. */
  expiresAt: number;
  /** The time is up. Removes itself with {@link Deadlines.remove}, and must not throw. */
  expire(): void;
}

/**
 * Time limits that are all equally long. They end in the order in which they begin, so one timer and a set, which keeps
 * that order, serve all of them: a timer for each would cost more than the rest of an operation.
 */
export class Deadlines {
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #waiting = new Set<Expiring>();
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
    this.#waiting.add(item);
    if (this.#timer === undefined) this.#wakeIn(this.#limitMs);
    else if (this.#waiting.size === 1) this.#timer.ref();
  }

  remove(item: Expiring): void {
    this.#waiting.delete(item);
    // The timer stays for the next item, but does not keep the process alive.
    if (this.#waiting.size === 0) this.#timer?.unref();
  }

  #wakeIn(delayMs: number): void {
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    const now = this.#now();
    for (const item of this.#waiting) {
      if (item.expiresAt > now) {
        // What was added within `expire` may have started the timer.
        if (this.#timer === undefined) this.#wakeIn(item.expiresAt - now);
        return;
      }
      item.expire();
    }
  }
}
