/** A stream of random numbers that is the same for the same seed: xoshiro128** (Blackman and Vigna, 2018). */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    // SplitMix fills the state, so that near seeds give unrelated streams.
    let z = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      this.#state[i] = mixed ^ (mixed >>> 16);
    }
  }

  /** 32 random bits, as a number from 0. */
  bits(): number {
    const s = this.#state;
    const s1 = s[1]!;
    const rotated = Math.imul(s1, 5);
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
    const s2 = s[2]! ^ s[0]!;
    const s3 = s[3]! ^ s1;
    s[1] = s1 ^ s2;
    s[0] = s[0]! ^ s3;
    s[2] = s2 ^ (s1 << 9);
    s[3] = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  /** A number from 0 up to, but not including, 1. */
  next(): number {
    return this.bits() / 2 ** 32;
  }

  /** True with the given chance. */
  chance(probability: number): boolean {
    return this.bits() < probability * 2 ** 32;
  }

  /** A number from the standard normal distribution, by Box and Muller's transformation (1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log1p(-this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }
}
