/** The part of a terminal that a bar needs; `process.stderr` fits. */
interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 30;
/** Drawing more often cannot be seen. */
const REDRAW_MS = 100;

/** A bar on a terminal; nothing at all where there is none, so that logs and pipes stay clean. */
export class ProgressBar {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(stream: ProgressStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  /** Shows how much is done. */
  show(done: number, total: number, unit: string): void {
    if (!this.#stream.isTTY) return;
    const now = this.#now();
    if (done < total && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const filled = Math.round((WIDTH * done) / total);
    this.#stream.write(`\r${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${done}/${total} ${unit}`);
  }

  /** Removes the bar. */
  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\u001b[K');
  }
}
