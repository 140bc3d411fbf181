const segmenter = new Intl.Segmenter();
/** Two cells wide in every terminal: CJK, Hangul, full-width forms and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
/** Takes no cell by itself. */
const ZERO = /^[\p{Mark}\p{Cf}]+$/u;

/** How many cells a text takes in a terminal. It must be {@link printable}. */
export function widthOf(text: string): number {
  // Almost all texts.
  if (/^[\x20-\x7e\u00a0-\u02ff\u2013-\u2026\u2500-\u259f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) {
    if (!ZERO.test(segment)) width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}

/** A text in at most so many cells; where something is cut off, it ends with `…`. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return '';
  let clipped = '';
  let used = 0;
  for (const { segment } of segmenter.segment(text)) {
    used += widthOf(segment);
    if (used > width - 1) break;
    clipped += segment;
  }
  return `${clipped}…`;
}

/** A text in exactly so many cells. */
export function padded(text: string, width: number): string {
  const clipped = clip(text, width);
  return clipped + ' '.repeat(Math.max(0, width - widthOf(clipped)));
}

/** A text broken at spaces into lines of at most so many cells, and into at most so many lines. */
export function wrap(text: string, width: number, maxLines: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
  }
  lines.push(line);
  if (lines.length > maxLines) lines.splice(maxLines - 1, lines.length, lines.slice(maxLines - 1).join(' '));
  return lines.map((each) => clip(each, width));
}

/** Names come from outside: nothing in one controls the terminal, or turns the writing direction of the rest. */
export function printable(text: string): string {
  return text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '');
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** One cell for each value, from 0 to the highest; a space where there is none. */
export function sparkline(values: readonly (number | undefined)[], highest: number): string {
  return values
    .map((value) => {
      if (value === undefined) return ' ';
      const level = highest > 0 ? Math.round((value / highest) * (LEVELS.length - 1)) : 0;
      return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, level))];
    })
    .join('');
}

const EIGHTHS = ' ▏▎▍▌▋▊▉';

/** A bar of so many cells, filled to a share of 0–1. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const full = Math.floor(eighths / 8);
  const part = eighths % 8 === 0 ? '' : EIGHTHS[eighths % 8];
  return `${'█'.repeat(full)}${part}`.padEnd(width, '░');
}
