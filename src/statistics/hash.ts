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
