/** A queue of values by ascending key. */
export class MinHeap<T> {
  readonly #keys: number[] = [];
  readonly #values: T[] = [];

  get size(): number {
    return this.#keys.length;
  }

  /** The lowest key; infinite when there is none. */
  get lowest(): number {
    return this.#keys[0] ?? Number.POSITIVE_INFINITY;
  }

  push(key: number, value: T): void {
    let index = this.#keys.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#set(index, this.#keys[parent]!, this.#values[parent]!);
      index = parent;
    }
    this.#set(index, key, value);
  }

  /** Removes the value with the lowest key. */
  pop(): T | undefined {
    const first = this.#values[0];
    const key = this.#keys.pop();
    const value = this.#values.pop();
    if (key === undefined || this.#keys.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.#keys.length) break;
      if (child + 1 < this.#keys.length && this.#keys[child + 1]! < this.#keys[child]!) child += 1;
      if (this.#keys[child]! >= key) break;
      this.#set(index, this.#keys[child]!, this.#values[child]!);
      index = child;
    }
    this.#set(index, key, value!);
    return first;
  }

  #set(index: number, key: number, value: T): void {
    this.#keys[index] = key;
    this.#values[index] = value;
  }
}
