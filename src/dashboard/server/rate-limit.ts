/** Sources of requests that are remembered. */
const MAX_SOURCES = 1_000;

/** Allows so many of something within a time, for each source of requests. Memory is bounded. */
export class RateLimit {
  readonly #most: number;
  readonly #withinMs: number;
  readonly #bySource = new Map<string, { since: number; count: number }>();

  constructor(most: number, withinMs: number) {
    this.#most = most;
    this.#withinMs = withinMs;
  }

  /** Whether the source has used up what is allowed. */
  isExceeded(source: string, now = performance.now()): boolean {
    const used = this.#bySource.get(source);
    return used !== undefined && now - used.since < this.#withinMs && used.count >= this.#most;
  }

  /** Counts one. @returns whether it was allowed. */
  use(source: string, now = performance.now()): boolean {
    if (this.isExceeded(source, now)) return false;
    const used = this.#bySource.get(source);
    if (used !== undefined && now - used.since < this.#withinMs) {
      used.count++;
      return true;
    }
    this.#bySource.delete(source);
    this.#bySource.set(source, { since: now, count: 1 });
    if (this.#bySource.size > MAX_SOURCES) this.#bySource.delete(this.#bySource.keys().next().value!);
    return true;
  }
}
