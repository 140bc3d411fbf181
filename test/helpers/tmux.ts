import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, vi } from 'vitest';

/** What a terminal starts with. */
export interface TmuxOptions {
  readonly columns: number;
  readonly rows: number;
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A real terminal with a shell in it, until the test ends, of a tmux server of its own: others of this user are not touched. */
export class Tmux {
  readonly #program: string;
  readonly #socket = `rollout-guard-${randomUUID()}`;

  constructor(program: string, { columns, rows, folder, env = {} }: TmuxOptions) {
    this.#program = program;
    const variables = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    // Also after a test that ran out of time.
    onTestFinished(() => this.#close());
    const size = ['-x', String(columns), '-y', String(rows)];
    // What an interactive shell reads is the user's own, and so are colours.
    this.run(
      'new-session',
      '-d',
      '-s',
      'test',
      ...size,
      '-c',
      folder,
      ...variables,
      'env -u ENV -u NO_COLOR -u FORCE_COLOR sh',
    );
  }

  run(...args: string[]): string {
    return execFileSync(this.#program, ['-L', this.#socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
    });
  }

  /** Presses keys by tmux's names, such as `C-c`. */
  press(...keys: string[]): void {
    this.run('send-keys', '-t', 'test', ...keys);
  }

  /** Types a line, and Enter. */
  type(text: string): void {
    this.run('send-keys', '-t', 'test', '-l', '--', text);
    this.press('Enter');
  }

  /** What is on the screen and above it, without spaces at the ends of lines. */
  text(...args: string[]): string {
    return this.run('capture-pane', '-p', '-S', '-', '-t', 'test', ...args).trimEnd();
  }

  /** Waits until the terminal shows something. */
  async shows(text: string | RegExp, timeout = 45_000): Promise<void> {
    await vi.waitFor(() => expect(this.text()).toMatch(text), { timeout, interval: 50 });
  }

  #close(): void {
    try {
      this.run('kill-server');
    } catch {
      // It has ended with its last window.
    }
  }
}
