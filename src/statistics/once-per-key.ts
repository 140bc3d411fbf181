import { bitsOfText, textOfBits } from './bit-text.js';
import { checkWhole, refuse } from './parameters.js';

/** What a {@link OncePerKey} may use. */
export interface OncePerKeyOptions {
  /** Any 32-bit number; another one for each epoch, so that no two users collide for ever. */
  readonly seed: number;
  /** Size of the bit set as a power of two: 2²² bits are 512 KiB. @default 22 */
  readonly log2Bits?: number | undefined;
}

/** A {@link OncePerKey} as plain JSON. */
export interface OncePerKeyState {
  readonly seed: number;
  readonly log2Bits: number;
  /** The 32-bit words that are not zero, as [index, word] pairs. */
  readonly words: readonly (readonly [number, number])[];
}

/**
 * Lets each targeting key count once, in memory of a fixed size: a seeded hash of the key picks one bit of a bit set, and a
 * key counts if its bit was not set yet.
 *
 * A key is never counted twice. A new key is dropped by mistake when another key has taken its bit, with a chance of exactly
 * {@link fill}: `1 − exp(−keys/bits)`, which is 2.4 % of the 100,001st and 21 % of the millionth key by default. The hash
 * knows nothing of how an outcome ends or of the arm, so what is dropped is a random part of both arms: it costs
 * power, never validity. One bit per key, rather than a Bloom filter's several, degrades slowest when far more keys come
 * than were planned for, and lets processes merge by OR, or share one bit set where "set it and tell what it was" is
 * one atomic command.
 *
 * Allocates nothing per key.
 */
export class OncePerKey {
  readonly seed: number;
  readonly #log2Bits: number;
  readonly #mask: number;
  readonly #words: Uint32Array;
  /** What {@link takeChanges} has given away, or what came from elsewhere; only in a fleet. */
  #taken: Uint32Array | undefined;
  #set = 0;

  /** @throws {@link ConfigError} when an option is out of its range. */
  constructor(options: OncePerKeyOptions) {
    const what = 'OncePerKey';
    this.seed = checkWhole(what, 'seed', options.seed, 0) >>> 0;
    this.#log2Bits = checkWhole(what, 'log2Bits', options.log2Bits ?? 22, 10);
    if (this.#log2Bits > 30) refuse(what, 'log2Bits', 'at most 30', this.#log2Bits);
    this.#mask = 2 ** this.#log2Bits - 1;
    this.#words = new Uint32Array(2 ** (this.#log2Bits - 5));
  }

  /** The part of the bits that is set: the chance that the next new key is dropped. */
  get fill(): number {
    return this.#set / (this.#mask + 1);
  }

  /** How many keys have counted. */
  get counted(): number {
    return this.#set;
  }

  /**
   * Whether an outcome of this key counts; if it does, no later one of the same key will. An outcome without a key
   * always counts: nobody can tell whose it is.
   */
  first(key: string | undefined): boolean {
    if (key === undefined) return true;
    return this.#take(hash32(key, this.seed) & this.#mask);
  }

  /** Keys that another process has counted count here no more. @throws {@link ConfigError} for another seed or size. */
  merge(state: OncePerKeyState): void {
    if (state.seed !== this.seed || state.log2Bits !== this.#log2Bits) {
      const expected = `seed ${this.seed} and log2Bits ${this.#log2Bits}`;
      refuse('OncePerKey state', 'seed', expected, `${state.seed} and ${state.log2Bits}`);
    }
    this.mergeWords(state.words);
  }

  /** The same for words alone, from a process that is known to have the same seed and size. Indices beyond it are ignored. */
  mergeWords(words: OncePerKeyState['words']): void {
    // Processes that keep their keys to themselves need not remember which of them are known elsewhere.
    if (words.length === 0) return;
    this.#taken ??= new Uint32Array(this.#words.length);
    for (const [index, word] of words) {
      const before = this.#words[index];
      if (before === undefined) continue;
      this.#words[index] = before | word;
      this.#taken[index]! |= word;
      this.#set += bitCount(before | word) - bitCount(before);
    }
  }

  /**
   * Takes up what {@link toText} gave in an earlier run with the same seed and size.
   * @returns False, and nothing is taken up, when the text is none.
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

  /** The bits that were set here since the previous call, for other processes. The first call doubles the memory. */
  takeChanges(): OncePerKeyState['words'] {
    this.#taken ??= new Uint32Array(this.#words.length);
    const words: [number, number][] = [];
    for (let index = 0; index < this.#words.length; index++) {
      const fresh = (this.#words[index]! & ~this.#taken[index]!) >>> 0;
      if (fresh === 0) continue;
      words.push([index, fresh]);
      this.#taken[index] = this.#words[index]!;
    }
    return words;
  }

  /** The state as plain JSON; `merge` it into an empty set of the same seed and size to restore it. */
  toJSON(): OncePerKeyState {
    const words: [number, number][] = [];
    for (const [index, word] of this.#words.entries()) if (word !== 0) words.push([index, word]);
    return { seed: this.seed, log2Bits: this.#log2Bits, words };
  }

  /** The bits as short text: 135 KB for 100,000 keys, and never more than 700 KB by default. */
  toText(): string {
    return textOfBits(this.#words, this.#set);
  }

  #take(bit: number): boolean {
    const word = this.#words[bit >>> 5]!;
    const flag = 1 << (bit & 31);
    if ((word & flag) !== 0) return false;
    this.#words[bit >>> 5] = word | flag;
    this.#set++;
    return true;
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
