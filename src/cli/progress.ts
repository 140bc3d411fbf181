/** The part of a terminal that a bar needs; `process.stderr` fits. */
interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 30;
/** Drawing more often cannot be seen. */
const REDRAW_MS = 100;

/** Without a terminal, each line stays in a log. */
const LINE_MS = 10_000;

/** A bar on a terminal; elsewhere a line every ten seconds, so that a log shows that it goes on, and a short run writes nothing. */
export class ProgressBar {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #drawnAt: number;

  constructor(stream: ProgressStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#drawnAt = stream.isTTY ? Number.NEGATIVE_INFINITY : now();
  }

  /** Shows how much is done. */
  show(done: number, total: number, unit: string): void {
    const now = this.#now();
    if (!this.#stream.isTTY) {
      if (now - this.#drawnAt < LINE_MS) return;
      this.#drawnAt = now;
      this.#stream.write(`${done}/${total} ${unit}\n`);
      return;
    }
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
