/** A queue of values by ascending key; of equal keys, the value that was pushed first comes first. */
export class MinHeap<T> {
  readonly #keys: number[] = [];
  /** The number of the push, by which equal keys are ordered. */
  readonly #serials: number[] = [];
  readonly #values: T[] = [];
  #pushed = 0;

  get size(): number {
    return this.#keys.length;
  }

  /** The lowest key; infinite when there is none. */
  get lowest(): number {
    return this.#keys[0] ?? Number.POSITIVE_INFINITY;
  }

  push(key: number, value: T): void {
    let index = this.#keys.length;
    const serial = this.#pushed++;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#set(index, key, serial, value);
  }

  /** Removes the value with the lowest key. */
  pop(): T | undefined {
    const first = this.#values[0];
    const key = this.#keys.pop();
    const serial = this.#serials.pop();
    const value = this.#values.pop();
    if (key === undefined || serial === undefined || this.#keys.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.#keys.length) break;
      if (
        child + 1 < this.#keys.length &&
        this.#precedes(child + 1, this.#keys[child]!, this.#serials[child]!)
      ) {
        child += 1;
      }
      if (!this.#precedes(child, key, serial)) break;
      this.#move(child, index);
      index = child;
    }
    this.#set(index, key, serial, value!);
    return first;
  }

  #precedes(index: number, key: number, serial: number): boolean {
    const own = this.#keys[index]!;
    return own < key || (own === key && this.#serials[index]! < serial);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#keys[from]!, this.#serials[from]!, this.#values[from]!);
  }

  #set(index: number, key: number, serial: number, value: T): void {
    this.#keys[index] = key;
    this.#serials[index] = serial;
    this.#values[index] = value;
  }
}
