/** Marks texts of gaps between set bits; the others are plain. */
const GAPS = 'g';
const PLAIN = 'p';

/**
 * A bit set as short text: base64 of the gaps between its set bits while those need fewer bytes than the bits themselves,
 * then of the bits. With evenly spread bits a gap needs one byte, or two in a set of which less than 1 % is set. '' is
 * the empty set.
 *
 * @param setBits - How many bits are set.
 */
export function textOfBits(words: Uint32Array, setBits: number): string {
  if (setBits === 0) return '';
  const plainBytes = words.length * 4;
  // A gap needs a byte or more.
  if (setBits <= plainBytes) {
    const gaps = Buffer.allocUnsafe(plainBytes);
    const length = writeGaps(words, gaps);
    if (length !== undefined) return GAPS + gaps.toString('base64', 0, length);
  }
  const plain = Buffer.allocUnsafe(plainBytes);
  // The same on every machine, whatever its byte order.
  for (let index = 0; index < words.length; index++) plain.writeUInt32LE(words[index]!, index * 4);
  return PLAIN + plain.toString('base64');
}

/**
 * The words that {@link textOfBits} was given, for a set of this many words.
 * @returns undefined when the text is invalid, or of a set of another size.
 */
export function bitsOfText(text: string, wordCount: number): Uint32Array | undefined {
  const words = new Uint32Array(wordCount);
  if (text === '') return words;
  const base64 = text.slice(1);
  const bytes = Buffer.from(base64, 'base64');
  // Buffer skips what is not base64, where an invalid text must be refused as a whole.
  if (bytes.toString('base64') !== base64) return undefined;
  if (text.startsWith(GAPS)) return readGaps(bytes, words) ? words : undefined;
  if (!text.startsWith(PLAIN) || bytes.length !== wordCount * 4) return undefined;
  for (let index = 0; index < wordCount; index++) words[index] = bytes.readUInt32LE(index * 4);
  return words;
}

/** @returns how many bytes the gaps need; undefined when they do not fit. */
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
