/** Marks texts of gaps between set bits; the others are plain. */
const GAPS = 'g';
const PLAIN = 'p';
/** More arguments at once than this may overflow the stack. */
const CHARACTERS_AT_ONCE = 8_192;

/**
 * A bit set as short text: base64 of the gaps between its set bits while those are fewer bytes than the bits themselves,
 * then of the bits. With evenly spread bits a gap takes one byte, or two in a set of which less than 1 % is set. '' is
 * the empty set.
 */
export function textOfBits(words: Uint32Array): string {
  const plainBytes = words.length * 4;
  const gaps = new Uint8Array(plainBytes);
  const length = writeGaps(words, gaps);
  if (length === 0) return '';
  if (length !== undefined) return GAPS + base64Of(gaps.subarray(0, length));
  const plain = new DataView(new ArrayBuffer(plainBytes));
  // The same on every machine, whatever its byte order.
  for (let index = 0; index < words.length; index++) plain.setUint32(index * 4, words[index]!, true);
  return PLAIN + base64Of(new Uint8Array(plain.buffer));
}

/**
 * What {@link textOfBits} was given, as words of a set of this many.
 * @returns undefined when the text is none, or of a set of another size.
 */
export function bitsOfText(text: string, wordCount: number): Uint32Array | undefined {
  const words = new Uint32Array(wordCount);
  if (text === '') return words;
  const bytes = bytesOf(text.slice(1));
  if (bytes === undefined) return undefined;
  if (text.startsWith(GAPS)) return readGaps(bytes, words) ? words : undefined;
  if (!text.startsWith(PLAIN) || bytes.length !== wordCount * 4) return undefined;
  const plain = new DataView(bytes.buffer);
  for (let index = 0; index < wordCount; index++) words[index] = plain.getUint32(index * 4, true);
  return words;
}

/** @returns how many bytes the gaps take; undefined when they do not fit. */
function writeGaps(words: Uint32Array, bytes: Uint8Array): number | undefined {
  let length = 0;
  let previous = -1;
  for (let index = 0; index < words.length; index++) {
    for (let rest = words[index]!; rest !== 0; rest = (rest & (rest - 1)) >>> 0) {
      const bit = index * 32 + (31 - Math.clz32(rest & -rest));
      let gap = bit - previous - 1;
      previous = bit;
      // Seven bits at a time, the lowest first; all but the last are marked.
      for (; gap > 127; gap = Math.floor(gap / 128)) {
        if (length >= bytes.length) return undefined;
        bytes[length++] = (gap & 127) | 128;
      }
      if (length >= bytes.length) return undefined;
      bytes[length++] = gap;
    }
  }
  return length;
}

function readGaps(bytes: Uint8Array, words: Uint32Array): boolean {
  let bit = -1;
  let gap = 0;
  let unit = 1;
  for (const byte of bytes) {
    gap += (byte & 127) * unit;
    unit *= 128;
    if (byte > 127) continue;
    bit += gap + 1;
    const index = Math.floor(bit / 32);
    if (!(index < words.length)) return false;
    words[index]! |= 1 << (bit & 31);
    gap = 0;
    unit = 1;
  }
  return unit === 1;
}

function base64Of(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let from = 0; from < bytes.length; from += CHARACTERS_AT_ONCE) {
    parts.push(String.fromCharCode(...bytes.subarray(from, from + CHARACTERS_AT_ONCE)));
  }
  return btoa(parts.join(''));
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    const characters = atob(base64);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  } catch {
    return undefined;
  }
}
