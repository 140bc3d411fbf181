import { messageOf } from '../../support/async/callbacks.js';

/**
 * Ends the process quietly when whoever reads its output goes away, as `head` does, and with one line when the output cannot be
 * written for another reason. A command that has something to put in order first has a listener of its own.
 */
export function endWithReader(program: NodeJS.Process): void {
  const { stdout, stderr } = program;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (stdout.listenerCount('error') > 1) return;
    if (error.code !== 'EPIPE') {
      stderr.write(`The output cannot be written: ${messageOf(error)}\n`);
      program.exit(1);
    }
    program.exit();
  });
  // Problems and progress that nobody reads change nothing.
  stderr.on('error', () => {});
}
