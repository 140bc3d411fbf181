import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitsOfText, textOfBits as textOf } from '../../src/statistics/bit-text.js';

function textOfBits(words: Uint32Array): string {
  let set = 0;
  for (const word of words) for (let rest = word; rest !== 0; rest = (rest & (rest - 1)) >>> 0) set++;
  return textOf(words, set);
}

const base64 = btoa;

/** A set of this many words with about this part of its bits set. */
function bitsOf(wordCount: number, fill: number): Uint32Array {
  const words = new Uint32Array(wordCount);
  let state = 1;
  for (let i = 0; i < wordCount * 32 * fill; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const bit = Math.floor((state / 2 ** 32) * wordCount * 32);
    words[bit >>> 5]! |= 1 << (bit & 31);
  }
  return words;
}

describe('textOfBits', () => {
  it('comes back as it was', () => {
    const run = fc.property(fc.uint32Array({ minLength: 1, maxLength: 40 }), (words) => {
      const given = Uint32Array.from(words);
      expect(bitsOfText(textOfBits(given), given.length)).toEqual(given);
    });
    fc.assert(run);
  });

  it.each([0, 0.0001, 0.001, 0.01, 0.1, 0.3, 0.9, 3])(
    'reads back the same bits at a density of %d',
    (fill) => {
      const words = bitsOf(2 ** 12, fill);
      expect(bitsOfText(textOfBits(words), words.length)).toEqual(words);
    },
  );

  it.each([[31], [32], [0], [2 ** 17 - 1], [0, 2 ** 17 - 1], [127, 128, 255, 16_511, 16_512]])(
    'keeps the bits %j',
    (...bits) => {
      const words = new Uint32Array(2 ** 12);
      for (const bit of bits.flat()) words[bit >>> 5]! |= 1 << (bit & 31);
      expect(bitsOfText(textOfBits(words), words.length)).toEqual(words);
    },
  );

  it('is short while few bits are set, and never longer than the bits', () => {
    expect(textOfBits(new Uint32Array(2 ** 17))).toBe('');
    expect(textOfBits(bitsOf(2 ** 17, 0.0025)).length).toBeLessThan(30_000);
    for (const fill of [0.1, 0.5, 3]) {
      expect(textOfBits(bitsOf(2 ** 12, fill)).length).toBeLessThanOrEqual((2 ** 14 * 4) / 3 + 4);
    }
  });

  it.each([
    ['no base64', 'g!!!'],
    ['base64 with a stray character', 'gAA!A'],
    ['no kind', 'AAAA'],
    ['an unknown kind', 'xAAAA'],
    ['plain bits of another size', `p${base64('\0\0\0')}`],
    ['a gap beyond the end', `g${base64('\xff\xff\xff\x7f')}`],
    ['a gap without an end', `g${base64('\x80')}`],
    ['a gap beyond all numbers', `g${base64('\xff'.repeat(400).concat('\x01'))}`],
  ])('refuses %s', (_, text) => {
    expect(bitsOfText(text, 8)).toBeUndefined();
  });
});
