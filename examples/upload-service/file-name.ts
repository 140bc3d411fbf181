const LONGEST_NAME_BYTES = 255;

/**
 * Makes a plain file name of what a client sent: no folders (of Unix or Windows), no control characters, at most
 * 255 bytes of UTF-8 with the extension kept, never empty.
 */
export function plainFileName(sent: string): string {
  const base = sent.slice(Math.max(sent.lastIndexOf('/'), sent.lastIndexOf('\\')) + 1);
  const name = base.replaceAll(/\p{Cc}/gu, '').trim();
  return name === '' || name === '.' || name === '..' ? 'file' : shorten(name);
}

function shorten(name: string): string {
  if (Buffer.byteLength(name) <= LONGEST_NAME_BYTES) return name;
  const extension = /\.[^.]{1,16}$/u.exec(name)?.[0] ?? '';
  let budget = LONGEST_NAME_BYTES - Buffer.byteLength(extension);
  let stem = '';
  // By code points, so that no character is cut in half.
  for (const character of name) {
    budget -= Buffer.byteLength(character);
    if (budget < 0) break;
    stem += character;
  }
  return stem + extension;
}
