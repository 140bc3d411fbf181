/** Over how much work the memory is measured. */
const DURATION_MS = 60_000;

/** Samples beyond these are not needed for a median. */
const MAX_SAMPLES = 1000;

/** Of a longer time between two samples, only this much counts as work. */
const MAX_INTERVAL_MS = 10_000;

/**
 * The normal memory of this process: the median of the samples of its first minute of work, unless it is set
 * from outside. Of work, because an idle process needs less than one that serves, and the difference is no growth; the
 * median, because start-up allocates more than it keeps.
 */
export class MemoryBaseline {
  #samples: number[] = [];
  #previousAt: number | undefined;
  #workedMs = 0;
  #bytes: number | undefined;

  /** In bytes; undefined until the process has worked for a minute. */
  get bytes(): number | undefined {
    return this.#bytes;
  }

  /** Uses a value from elsewhere from now on. */
  set(bytes: number): void {
    this.#bytes = bytes;
    this.#samples = [];
  }

  /**
   * Uses a sample while there is no baseline yet.
   *
   * @param worked - Whether the process has worked since the sample before.
   */
  add(bytes: number, at: number, worked: boolean): void {
    if (this.#bytes !== undefined) return;
    const intervalMs = at - (this.#previousAt ?? at);
    this.#previousAt = at;
    if (!worked) return;
    // A clock that was set back has measured no time.
    this.#workedMs += Math.min(Math.max(intervalMs, 0), MAX_INTERVAL_MS);
    if (this.#samples.length < MAX_SAMPLES) this.#samples.push(bytes);
    if (this.#workedMs >= DURATION_MS) this.set(medianOf(this.#samples));
  }
}

function medianOf(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
