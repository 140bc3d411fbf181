import type { ReadStream, WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import type { Paint, Size, Tone } from '../report/terminal/screen.js';

const OTHER_SCREEN = '\x1b[?1049h\x1b[?25l';
const SCREEN_BACK = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const TO_LINE_END = '\x1b[K';
const TO_SCREEN_END = '\x1b[J';
const CTRL_C = '\x03';

const STYLES = {
  strong: 'bold',
  faint: 'dim',
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  treatment: 'blue',
  control: 'magenta',
} as const satisfies Record<Exclude<Tone, 'plain'>, Parameters<typeof styleText>[0]>;

/** A terminal's other screen, which leaves what was there before as it was. */
export class TerminalScreen {
  readonly #out: WriteStream;
  readonly #keys: ReadStream;
  readonly #onQuit: () => void;
  readonly #hasColours: boolean;
  #onResize: () => void = () => {};

  /** @param onQuit - Called when the user presses q, or Ctrl-C. */
  constructor(out: WriteStream, keys: ReadStream, onQuit: () => void) {
    this.#out = out;
    this.#keys = keys;
    this.#onQuit = onQuit;
    // NO_COLOR and TERM=dumb are among what it asks for.
    this.#hasColours = out.hasColors();
  }

  /** @param onResize - Draws again. */
  open(onResize: () => void): void {
    this.#onResize = onResize;
    this.#out.write(OTHER_SCREEN);
    // However the process ends, the terminal is usable afterwards.
    process.once('exit', this.#restore);
    this.#out.on('resize', this.#resized);
    if (this.#keys.isTTY !== true) return;
    this.#keys.setRawMode(true);
    this.#keys.on('data', this.#key).resume();
  }

  get size(): Size {
    return { columns: this.#out.columns || 80, rows: this.#out.rows || 24 };
  }

  readonly paint: Paint = (tone, text) =>
    this.#hasColours && tone !== 'plain' ? styleText(STYLES[tone], text) : text;

  /** Draws over what is there, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}${TO_LINE_END}`).join('\r\n');
    this.#out.write(`${HOME}${text}${TO_SCREEN_END}`);
  }

  close(): void {
    this.#out.off('resize', this.#resized);
    this.#keys.off('data', this.#key).pause();
    process.off('exit', this.#restore);
    this.#restore();
  }

  readonly #resized = (): void => this.#onResize();

  readonly #key = (data: Buffer): void => {
    const text = data.toString();
    if (text === CTRL_C || text.toLowerCase() === 'q') this.#onQuit();
  };

  readonly #restore = (): void => {
    if (this.#keys.isTTY === true) this.#keys.setRawMode(false);
    this.#out.write(SCREEN_BACK);
  };
}
