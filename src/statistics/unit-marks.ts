/** Units that are marked at most; a table of 2¹⁷ numbers, 512 KiB. */
export const MAX_MARKS = 98_304;

const SMALLEST_TABLE = 64;
/** Tables are at most three quarters full: beyond that, searches grow long. */
const FULL = 0.75;

/**
 * A set of units by their 32-bit hash, in a table that grows from 256 bytes to 512 KiB. A unit whose hash another one has is
 * taken for it: with 98,304 marks, one unit in 44,000. The hash depends on no arm, so that costs power, never validity.
 *
 * Allocates only when the table grows. 0 is no unit: it is never marked.
 */
export class UnitMarks {
  #table = new Uint32Array(SMALLEST_TABLE);
  #size = 0;

  /** How many units are marked. */
  get size(): number {
    return this.#size;
  }

  /** Whether no further unit can be marked. */
  get isFull(): boolean {
    return this.#size >= MAX_MARKS;
  }

  has(unit: number): boolean {
    if (this.#size === 0 || unit === 0) return false;
    return this.#table[this.#slotOf(unit)] === unit;
  }

  /** Marks a unit, unless the set is full. @returns whether it was not marked before. */
  add(unit: number): boolean {
    if (unit === 0) return true;
    const slot = this.#slotOf(unit);
    if (this.#table[slot] === unit) return false;
    if (this.isFull) return true;
    this.#table[slot] = unit;
    this.#size++;
    if (this.#size > this.#table.length * FULL) this.#rebuild(this.#table, this.#table.length * 2);
    return true;
  }

  /** Removes all marks. The table stays as large as it was needed: it will be again. */
  clear(): void {
    this.#table.fill(0);
    this.#size = 0;
  }

  /** Removes the units that do not fulfil the condition. */
  retain(condition: (unit: number) => boolean): void {
    this.#rebuild(
      this.#table.filter((unit) => unit !== 0 && condition(unit)),
      this.#table.length,
    );
  }

  *[Symbol.iterator](): Iterator<number> {
    for (const unit of this.#table) if (unit !== 0) yield unit;
  }

  /** All marks as base64 of 32-bit numbers, little-endian. */
  toText(): string {
    const bytes = Buffer.alloc(this.#size * 4);
    let offset = 0;
    for (const unit of this) offset = bytes.writeUInt32LE(unit, offset);
    return bytes.toString('base64');
  }

  /** Replaces the marks by those of {@link toText}. @throws RangeError for a text that is none of its own. */
  restore(text: string): void {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text || bytes.length % 4 !== 0 || bytes.length > MAX_MARKS * 4) {
      throw new RangeError('The marks are invalid');
    }
    this.clear();
    for (let offset = 0; offset < bytes.length; offset += 4) this.add(bytes.readUInt32LE(offset));
    if (this.#size * 4 !== bytes.length) throw new RangeError('The marks are invalid');
  }

  /** By index: an iterator costs many times as much. */
  #rebuild(units: Uint32Array, length: number): void {
    this.#table = new Uint32Array(length);
    this.#size = 0;
    for (let i = 0; i < units.length; i++) {
      const unit = units[i]!;
      if (unit === 0) continue;
      this.#table[this.#slotOf(unit)] = unit;
      this.#size++;
    }
  }

  /** The slot of a unit, or the empty one where it belongs. */
  #slotOf(unit: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    let slot = (unit ^ (unit >>> 15)) & mask;
    while (table[slot] !== 0 && table[slot] !== unit) slot = (slot + 1) & mask;
    return slot;
  }
}
