/** Values that are kept. */
const SIZE = 1_000;

/** The latest values of one arm, of any sign, and their quantiles. */
export class ValueSample {
  #values: number[] = [];
  #next = 0;
  #sorted: Float64Array | undefined;

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % SIZE;
    this.#sorted = undefined;
  }

  /** The smallest value that a share of `q` does not exceed; undefined while there is none. */
  quantile(q: number): number | undefined {
    const { length } = this.#values;
    if (length === 0) return undefined;
    this.#sorted ??= Float64Array.from(this.#values).sort();
    return this.#sorted[Math.max(0, Math.ceil(q * length) - 1)];
  }

  /** Oldest first. */
  toJSON(): number[] {
    return this.#values.length < SIZE
      ? [...this.#values]
      : [...this.#values.slice(this.#next), ...this.#values.slice(0, this.#next)];
  }

  restore(values: readonly number[]): void {
    this.#values = [];
    this.#next = 0;
    for (const value of values) this.add(value);
  }
}
