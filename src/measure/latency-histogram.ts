import { z } from 'zod';

/** Each power of two is cut into this many buckets of equal width. */
const BUCKETS_PER_OCTAVE = 64;
const BUCKET_BITS = 6;
/** 2⁻¹⁰ ms is just below 1 µs, 2²² ms just above 1 h (70 min). */
const MIN_EXPONENT = -10;
const MAX_EXPONENT = 22;
const BUCKETS = (MAX_EXPONENT - MIN_EXPONENT) * BUCKETS_PER_OCTAVE;
const OVERFLOW = BUCKETS + 1;

/** Slots of a histogram: underflow, 2,048 buckets, overflow. */
export const LATENCY_SLOTS = BUCKETS + 2;

// A float's upper 32 bits are its sign, 11 bits of exponent, and the first 20 bits of its mantissa. Without the last
// 14 of them, exponent and 6 bits of mantissa remain, which is the number of the bucket, counted from 2⁻¹⁰²³.
const FIRST_BUCKET = (1023 + MIN_EXPONENT) << BUCKET_BITS;
const NOTHING = new Float64Array(0);
const float = new Float64Array(1);
const words = new Int32Array(float.buffer);
const UPPER = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

export const sparseHistogramSchema = z.object({
  sumMs: z.number().min(0),
  /** Pairs of slot and count, ascending. */
  buckets: z.array(z.tuple([z.int().min(0).lt(LATENCY_SLOTS), z.int().min(0)])).max(LATENCY_SLOTS),
});

/** A histogram as plain JSON: slots that are not empty, and the exact sum. */
type SparseHistogram = z.infer<typeof sparseHistogramSchema>;

/**
 * Durations by logarithmic bucket: fixed memory (16 KB from the first one on), mergeable, no logarithm and no allocation per record.
 *
 * **Error of a quantile: at most 1/128 (0.79 %).** A bucket within the octave [2ᵉ, 2ᵉ⁺¹) is w = 2ᵉ/64 wide and is
 * represented by its middle. Every x in it is at most w/2 = 2ᵉ/128 away, and x ≥ 2ᵉ, so |middle − x| / x ≤ 1/128.
 * A quantile is the value of one rank, counts are exact, so the bucket of that rank is the bucket of that value.
 *
 * The range is 2⁻¹⁰ ms (1 µs) to 2²² ms (70 min). What is shorter counts as 0, what is longer as 2²² ms. The layout is
 * that of HdrHistogram (linear buckets within octaves), taken straight from the bits of the float.
 */
export class LatencyHistogram {
  /** Allocated by the first record: most flags of many have none. */
  #counts = NOTHING;
  /** The sum of each octave's buckets, so that a quantile reads one octave's buckets only. */
  #octaves = NOTHING;
  #count = 0;
  #sumMs = 0;
  #lowest = LATENCY_SLOTS;
  #highest = -1;

  /** How many durations were recorded. */
  get count(): number {
    return this.#count;
  }

  /** The exact mean, in milliseconds; undefined while empty. */
  get meanMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#sumMs / this.#count;
  }

  /**
   * Adds one duration in milliseconds.
   *
   * @returns `false`, and nothing is added, when it is NaN, infinite or negative.
   */
  record(durationMs: number): boolean {
    if (!isDuration(durationMs)) return false;
    float[0] = durationMs;
    const bucket = (words[UPPER]! >> (20 - BUCKET_BITS)) - FIRST_BUCKET;
    this.#add(bucket < 0 ? 0 : bucket >= BUCKETS ? OVERFLOW : bucket + 1, 1);
    this.#sumMs += durationMs;
    return true;
  }

  /**
   * The duration, in milliseconds, that the fraction `q` of all durations does not exceed (nearest rank).
   *
   * @returns undefined while empty.
   */
  quantile(q: number): number | undefined {
    if (this.#count === 0) return undefined;
    // 0.07 × 100 is 7.000000000000001 in floating point, and its rank is 7.
    const rank = Math.max(1, Math.ceil(q * this.#count * (1 - 4 * Number.EPSILON)));
    let octave = octaveOf(this.#lowest);
    let seen = 0;
    while (octave < octaveOf(this.#highest) && seen + this.#octaves[octave]! < rank) {
      seen += this.#octaves[octave]!;
      octave += 1;
    }
    for (let slot = Math.max(this.#lowest, firstSlotOf(octave)); slot < this.#highest; slot++) {
      seen += this.#counts[slot]!;
      if (seen >= rank) return MIDDLES[slot];
    }
    return MIDDLES[this.#highest];
  }

  /** Adds all counts of another histogram. */
  merge(other: LatencyHistogram): void {
    for (let slot = other.#lowest; slot <= other.#highest; slot++) this.#add(slot, other.#counts[slot]!);
    this.#sumMs += other.#sumMs;
  }

  /** Empties the histogram. */
  clear(): void {
    this.#counts.fill(0);
    this.#octaves.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
    this.#lowest = LATENCY_SLOTS;
    this.#highest = -1;
  }

  /**
   * The histogram as plain JSON.
   *
   * @param earlier - A former state of this histogram, which is then left out.
   */
  toSparse(earlier?: LatencyHistogram): SparseHistogram {
    const buckets: [number, number][] = [];
    for (let slot = this.#lowest; slot <= this.#highest; slot++) {
      const before = earlier === undefined ? 0 : (earlier.#counts[slot] ?? 0);
      const count = this.#counts[slot]! - before;
      if (count > 0) buckets.push([slot, count]);
    }
    // By rounding, the sum of the parts may exceed the whole a little.
    return { sumMs: Math.max(0, this.#sumMs - (earlier === undefined ? 0 : earlier.#sumMs)), buckets };
  }

  /** Adds the result of {@link toSparse}. Slots must be within 0 … {@link LATENCY_SLOTS} − 1; the schema checks it. */
  addSparse(sparse: SparseHistogram): void {
    for (const [slot, count] of sparse.buckets) this.#add(slot, count);
    this.#sumMs += sparse.sumMs;
  }

  #add(slot: number, count: number): void {
    if (this.#counts.length === 0) {
      this.#counts = new Float64Array(LATENCY_SLOTS);
      this.#octaves = new Float64Array(octaveOf(OVERFLOW) + 1);
    }
    this.#counts[slot]! += count;
    this.#octaves[octaveOf(slot)]! += count;
    this.#count += count;
    if (slot < this.#lowest) this.#lowest = slot;
    if (slot > this.#highest) this.#highest = slot;
  }
}

/** Whether a number can be a duration: neither NaN nor infinite nor negative. */
export function isDuration(durationMs: number): boolean {
  return durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY;
}

/** 0 for the underflow slot, then one number for each octave, then one for the overflow slot. */
function octaveOf(slot: number): number {
  return (slot + BUCKETS_PER_OCTAVE - 1) >> BUCKET_BITS;
}

function firstSlotOf(octave: number): number {
  return octave === 0 ? 0 : ((octave - 1) << BUCKET_BITS) + 1;
}

function middleOf(slot: number): number {
  if (slot === 0) return 0;
  if (slot === OVERFLOW) return 2 ** MAX_EXPONENT;
  const octave = Math.floor((slot - 1) / BUCKETS_PER_OCTAVE);
  const withinOctave = (slot - 1) % BUCKETS_PER_OCTAVE;
  return 2 ** (MIN_EXPONENT + octave) * (1 + (withinOctave + 0.5) / BUCKETS_PER_OCTAVE);
}

/** What stands for a value of each slot, in milliseconds. */
const MIDDLES = Float64Array.from({ length: LATENCY_SLOTS }, (_, slot) => middleOf(slot));
