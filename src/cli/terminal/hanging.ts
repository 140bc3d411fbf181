import { widthOf } from '../../report/terminal/text.js';

/** With less room than this beside the indentation, the terminal breaks lines. */
const MIN_WIDTH = 16;

/** A text broken at spaces for a terminal of so many columns; lines after the first begin at the indentation, as the first does. */
export function hanging(text: string, indentation: number, columns: number): string {
  const room = columns - indentation;
  if (room < MIN_WIDTH) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > room) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line].join(`\n${' '.repeat(indentation)}`);
}
