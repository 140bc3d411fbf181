import type { MemorySnapshot } from '../model/snapshot.js';
import { TimeRing } from './time-ring.js';

/**
 * The lowest memory sample of the last `windowMs`, from the lowest sample of each bucket. The lowest one only rises when
 * the memory stays in use: a peak before a garbage collection does not move it.
 */
export class MemoryWindow extends TimeRing {
  readonly #lowest = new Float64Array(this.slots).fill(Number.POSITIVE_INFINITY);
  /** When the first sample came after which the window was never empty. */
  #firstAt = 0;
  /** −∞ before the first sample. */
  #lastAt = Number.NEGATIVE_INFINITY;

  /** Adds a sample, unless it is from before the window. */
  add(bytes: number, at: number): void {
    const slot = this.slotAt(at);
    if (slot < 0) return;
    if (this.#lowestBytes === Number.POSITIVE_INFINITY) this.#firstAt = at;
    this.#lastAt = at;
    this.#lowest[slot] = Math.min(this.#lowest[slot]!, bytes);
  }

  /** The window as of the last `advance` or `add`; undefined when it has no sample. */
  snapshot(baselineBytes: number | undefined): MemorySnapshot | undefined {
    const lowestBytes = this.#lowestBytes;
    if (lowestBytes === Number.POSITIVE_INFINITY) return undefined;
    // Samples may have been coming for longer than the window, which then is spanned and no more than that.
    const spanMs = Math.max(0, Math.min(this.windowMs, this.#lastAt - this.#firstAt));
    return { baselineBytes, lowestBytes, spanMs };
  }

  clear(): void {
    this.#lowest.fill(Number.POSITIVE_INFINITY);
  }

  protected expire(slot: number): void {
    this.#lowest[slot] = Number.POSITIVE_INFINITY;
  }

  /** Infinite without a sample. By index: an iterator costs more than the rest of a snapshot together. */
  get #lowestBytes(): number {
    // Replays and simulations have no samples, and take a snapshot after every outcome.
    if (this.#lastAt === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
    let lowest = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.slots; slot++) lowest = Math.min(lowest, this.#lowest[slot]!);
    return lowest;
  }
}
