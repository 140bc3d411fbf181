import { bitsOfText, textOfBits } from './bit-text.js';

/** Size of the bit set as a power of two: 2²² bits are 512 KiB. */
const LOG2_BITS = 22;

/**
 * Lets each targeting key count once, in memory of a fixed size: a seeded hash of the key picks one bit of a bit set, and a
 * key counts if its bit was not set yet.
 *
 * A key is never counted twice. A new key is dropped by mistake when another key has its bit, with the chance that
 * a bit is set: `1 − exp(−keys/bits)`, which is 2.4 % of the 100,001st and 21 % of the millionth key. The hash
 * depends neither on how an outcome ends nor on the arm, so a random part of both arms is dropped: it costs
 * power, never validity. One bit per key, rather than a Bloom filter's several, degrades slowest when far more keys come
 * than were planned for.
 *
 * Allocates nothing per key.
 */
export class OncePerKey {
  readonly seed: number;
  readonly #mask: number;
  readonly #words: Uint32Array;
  #set = 0;

  /**
   * @param seed - Any unsigned 32-bit number; another one for each epoch, so that no two users collide in all of them.
   * @param log2Bits - Size of the bit set as a power of two, 5 to 30. @default 22, which is 512 KiB
   */
  constructor(seed: number, log2Bits = LOG2_BITS) {
    this.seed = seed;
    this.#mask = 2 ** log2Bits - 1;
    this.#words = new Uint32Array(2 ** (log2Bits - 5));
  }

  /** How many keys have counted. */
  get counted(): number {
    return this.#set;
  }

  /**
   * Whether an outcome of this key counts; if it does, no later one of the same key will. An outcome without a key
   * always counts: its user is unknown.
   */
  first(key: string | undefined): boolean {
    if (key === undefined) return true;
    const bit = hash32(key, this.seed) & this.#mask;
    const word = this.#words[bit >>> 5]!;
    const flag = 1 << (bit & 31);
    if ((word & flag) !== 0) return false;
    this.#words[bit >>> 5] = word | flag;
    this.#set++;
    return true;
  }

  /**
   * Adds the bits of an earlier run with the same seed, from its {@link toText}.
   * @returns False, and nothing is added, when the text is invalid.
   */
  mergeText(text: string): boolean {
    const bits = bitsOfText(text, this.#words.length);
    if (bits === undefined) return false;
    for (let index = 0; index < bits.length; index++) {
      const fresh = (bits[index]! & ~this.#words[index]!) >>> 0;
      if (fresh === 0) continue;
      this.#words[index]! |= fresh;
      this.#set += bitCount(fresh);
    }
    return true;
  }

  /** The bits as short text: 135 KB for 100,000 keys, and never more than 700 KB. */
  toText(): string {
    return textOfBits(this.#words, this.#set);
  }
}

/**
 * A 32-bit hash of a string's UTF-16 code units, two at a time: Austin Appleby's MurmurHash3 (x86, 32 bits), which is
 * in the public domain. It spreads short and similar keys as evenly as any.
 */
export function hash32(key: string, seed: number): number {
  const { length } = key;
  const even = length & ~1;
  let h = seed;
  for (let i = 0; i < even; i += 2) h = mixIn(h, key.charCodeAt(i) | (key.charCodeAt(i + 1) << 16));
  if (even < length) h = mixIn(h, key.charCodeAt(even));
  h ^= length * 2;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function mixIn(h: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const mixed = h ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}
