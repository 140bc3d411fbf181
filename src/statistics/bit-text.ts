/** Marks texts of gaps between set bits; the others are plain. */
const GAPS = 'g';
const PLAIN = 'p';
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
/** By character code; 64 is none. */
const DIGITS = new Uint8Array(128).fill(64);
for (let digit = 0; digit < 64; digit++) DIGITS[CODES[digit]!] = digit;

/**
 * A bit set as short text: base64 of the gaps between its set bits while those are fewer bytes than the bits themselves,
 * then of the bits. With evenly spread bits a gap takes one byte, or two in a set of which less than 1 % is set. '' is
 * the empty set.
 *
 * @param setBits - How many bits are set.
 */
export function textOfBits(words: Uint32Array, setBits: number): string {
  const plainBytes = words.length * 4;
  const gaps = new Uint8Array(plainBytes);
  // A gap takes a byte or more.
  const length = setBits > plainBytes ? undefined : writeGaps(words, gaps);
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
      for (; gap > 127; gap >>>= 7) {
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

/** Without the padding. From bytes to bytes, because requests wait for it: a string for `btoa` took several times as long. */
function base64Of(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let length = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    // Beyond the end of either array, reading gives 0 and writing does nothing.
    const three = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text[length++] = CODES[three >>> 18]!;
    text[length++] = CODES[(three >>> 12) & 63]!;
    text[length++] = CODES[(three >>> 6) & 63]!;
    text[length++] = CODES[three & 63]!;
  }
  return new TextDecoder().decode(text);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(Math.floor((base64.length * 3) / 4));
  let length = 0;
  for (let i = 0; i < base64.length; i += 4) {
    let four = 0;
    for (let j = 0; j < 4; j++) {
      const digit = i + j < base64.length ? (DIGITS[base64.charCodeAt(i + j)] ?? 64) : 0;
      if (digit === 64) return undefined;
      four = (four << 6) | digit;
    }
    bytes[length++] = four >>> 16;
    bytes[length++] = four >>> 8;
    bytes[length++] = four;
  }
  return bytes;
}
