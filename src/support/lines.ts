import type { FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 256 * 1024;
/** Far above what one outcome can take; a longer line is not one of this log. */
export const MAX_LINE_BYTES = 1024 * 1024;
const NEWLINE = 10;

/**
 * The lines of a file from byte `from` to byte `to`, some hundreds at a time, without their line ends; the last one
 * counts even without one. A line longer than {@link MAX_LINE_BYTES} is `undefined`.
 */
export async function* linesOf(
  handle: FileHandle,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<(string | undefined)[], void, void> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  /** The beginning of a line whose end has not come yet. */
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for (let position = from; ; ) {
    const wanted = Math.max(0, Math.min(CHUNK_BYTES, to - position));
    const { bytesRead } = await handle.read(chunk, 0, wanted, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const read = chunk.subarray(0, bytesRead);
    const last = read.lastIndexOf(NEWLINE);
    if (last >= 0) {
      const first = begunBytes > 0 ? read.indexOf(NEWLINE) : -1;
      const lines: (string | undefined)[] =
        last > first ? read.toString('utf8', first + 1, last).split('\n') : [];
      if (first >= 0) lines.unshift(textOf([...begun, read.subarray(0, first)], begunBytes + first));
      yield lines.map(withoutReturn);
      begun = [];
      begunBytes = 0;
    }
    const rest = read.subarray(last + 1);
    if (begunBytes <= MAX_LINE_BYTES && rest.length > 0) begun.push(Buffer.from(rest));
    begunBytes += rest.length;
  }
  if (begunBytes > 0) yield [withoutReturn(textOf(begun, begunBytes))];
}

function textOf(parts: Buffer[], bytes: number): string | undefined {
  return bytes > MAX_LINE_BYTES ? undefined : Buffer.concat(parts).toString('utf8');
}

/** Editors of some systems end lines with a return as well. */
function withoutReturn(line: string | undefined): string | undefined {
  return line?.endsWith('\r') ? line.slice(0, -1) : line;
}
