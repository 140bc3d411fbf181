import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OncePerKey } from '../../src/statistics/once-per-key.js';

function keys(count: number, prefix = 'user-'): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

describe('OncePerKey', () => {
  it('never counts a key twice', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.nat(), (sequence, seed) => {
        const once = new OncePerKey(seed, 12);
        const counted = sequence.filter((key) => once.first(key));
        expect(new Set(counted).size).toBe(counted.length);
        expect(sequence.every((key) => !once.first(key))).toBe(true);
      }),
    );
  });

  it('always counts an outcome without a key', () => {
    const once = new OncePerKey(1);
    expect([once.first(undefined), once.first(undefined)]).toEqual([true, true]);
    expect(once.counted).toBe(0);
  });

  it.each(['user-', '7f3c9a52-0000-4000-8000-', ''])(
    'drops as many new keys named "%s…" as the share of set bits predicts',
    (prefix) => {
      // With twice as many keys as bits, exp(-2) = 13.5 % of the bits stay free.
      const once = new OncePerKey(42, 16);
      const counted = keys(2 ** 17, prefix).filter((key) => once.first(key)).length;
      expect(once.counted).toBe(counted);
      const fill = counted / 2 ** 16;
      expect(fill).toBeGreaterThan(1 - Math.exp(-2) - 0.01);
      expect(fill).toBeLessThan(1 - Math.exp(-2) + 0.01);
    },
  );

  it('drops different keys with another seed', () => {
    const dropped = (seed: number) => {
      const once = new OncePerKey(seed, 14);
      return new Set(keys(4_000).filter((key) => !once.first(key)));
    };
    const [first, second] = [dropped(1), dropped(2)];
    const both = [...first].filter((key) => second.has(key)).length;
    expect(first.size).toBeGreaterThan(300);
    expect(both / first.size).toBeLessThan(0.25);
  });

  it('distinguishes keys that differ only in length, case or beyond ASCII', () => {
    const once = new OncePerKey(7);
    const similar = ['', '\0', '\0\0', 'a', 'A', 'aa', 'é', 'e\u0301', '用户一', '用户二', '😀', '😁'];
    expect(similar.filter((key) => once.first(key))).toEqual(similar);
  });

  it('is restored from its text', () => {
    const original = new OncePerKey(5);
    for (const key of keys(100)) original.first(key);
    const restored = new OncePerKey(5);
    expect(restored.mergeText(original.toText())).toBe(true);
    expect(restored.counted).toBe(original.counted);
    expect(keys(100).some((key) => restored.first(key))).toBe(false);
    expect(restored.mergeText(original.toText())).toBe(true);
    expect(restored.counted).toBe(100);
  });

  it.each(['none', new OncePerKey(5, 12).toText().concat('pAAAA')])('refuses the text %j', (text) => {
    const once = new OncePerKey(5);
    expect(once.mergeText(text)).toBe(false);
    expect(once.counted).toBe(0);
  });
});
