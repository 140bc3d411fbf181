import { createInterface, type Interface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';
import { hanging } from '../terminal/hanging.js';
import { type Painter, painterFor } from '../terminal/paint.js';

/** The operator has ended the questions: Ctrl-C, Ctrl-D, or "no". */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly code = 'INTERRUPTED';
}

/** How one value is asked for. */
export interface Question {
  readonly text: string;
  /** What an empty answer means. */
  readonly initial?: string | undefined;
  /** Whether the answer is not shown. */
  readonly isSecret?: boolean;
  /** What is wrong with an answer; undefined when nothing is. */
  problemOf(answer: string): string | undefined;
}

/** Asks on a terminal, line by line. What is asked is written to `out`, so that the standard output has results alone. */
export class Questions {
  readonly #out: WriteStream;
  readonly #paint: Painter;
  readonly #readline: Interface;
  readonly #ending = new AbortController();
  readonly #onResize: () => void;
  #isMuted = false;

  constructor(keys: ReadStream, out: WriteStream) {
    this.#out = out;
    this.#paint = painterFor(out);
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        if (!this.#isMuted) out.write(chunk);
        done();
      },
    });
    // By these, a question that is longer than a line is laid out.
    Object.defineProperty(output, 'columns', { get: () => out.columns });
    this.#onResize = () => output.emit('resize');
    out.on('resize', this.#onResize);
    this.#readline = createInterface({ input: keys, output, terminal: true });
    // Ctrl-C, and Ctrl-D or the end of the input.
    this.#readline.once('SIGINT', () => this.#readline.close());
    this.#readline.once('close', () => this.#ending.abort());
  }

  /** @returns an answer without anything wrong. @throws InterruptedError */
  async ask({ text, initial, isSecret = false, problemOf }: Question): Promise<string> {
    for (;;) {
      const answer =
        (await this.#line(`${text}${initial === undefined ? '' : ` (${initial})`}: `, isSecret)).trim() ||
        initial ||
        '';
      if (isSecret) this.#out.write('\n');
      const problem = problemOf(answer);
      if (problem === undefined) return answer;
      this.#out.write(`${this.#paint('yellow', `  ${hanging(problem, 2, this.#out.columns)}`)}\n`);
    }
  }

  /** @throws InterruptedError also for "no". */
  async confirm(text: string): Promise<void> {
    const problemOf = (answer: string) => (/^(y(es)?|no?)$/i.test(answer) ? undefined : 'Answer y or n.');
    if (/^n/i.test(await this.ask({ text, initial: 'y', problemOf }))) throw new InterruptedError('Ended.');
  }

  async #line(prompt: string, isSecret: boolean): Promise<string> {
    try {
      const answer = this.#readline.question(prompt, { signal: this.#ending.signal });
      // The prompt is written by now; what is typed is not.
      this.#isMuted = isSecret;
      return await answer;
    } catch {
      this.#out.write('\n');
      throw new InterruptedError('Ended.');
    } finally {
      this.#isMuted = false;
    }
  }

  close(): void {
    this.#out.off('resize', this.#onResize);
    this.#readline.close();
  }
}
