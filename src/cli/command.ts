import type { Command, CommanderError } from 'commander';
import { z } from 'zod';
import { asyncUploadRollout } from '../guard/options/async-upload-rollout.js';
import { type RolloutRules, resolveRules } from '../guard/options/rules.js';
import { messageOf } from '../support/async/callbacks.js';
import { isConfigError, parseConfig } from '../support/config-error.js';
import { loadRules } from '../what-if/replay/rules-file.js';

/** The exit code of every command for wrong usage. */
const USAGE = 2;

/** A path on the command line. */
export const pathOption = z.string().min(1);

/**
 * Completes a subcommand: checks its options, and ends the process with one line for an error that a user can fix.
 *
 * @param act - Called with the checked options, with the command's argument, if it has one, and with all of them.
 */
export function complete<Schema extends z.ZodType>(
  command: Command,
  help: string,
  optionsSchema: Schema,
  act: (options: z.output<Schema>, argument: string, all: readonly string[]) => Promise<void>,
): void {
  command
    .addHelpText('after', help)
    .exitOverride(exitWith)
    .action(async () => {
      try {
        await act(parseConfig(optionsSchema, command.opts(), 'options'), command.args[0] ?? '', command.args);
      } catch (error) {
        if (isConfigError(error)) command.error(error.message, { exitCode: USAGE, code: error.code });
        if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
          command.error(error.message, { exitCode: 1, code: error.code });
        }
        printProblem('UNEXPECTED', messageOf(error));
        throw error;
      }
    });
}

/** Ends the process: with the command's own exit code, or as wrong usage, which commander found. */
export function exitWith({ code, exitCode, message }: CommanderError): never {
  if (exitCode === 0) process.exit();
  const isOfCommander = code.startsWith('commander.') && code !== 'commander.error';
  printProblem(isOfCommander ? 'USAGE' : code, message.replace(/^error: /, ''));
  process.exit(isOfCommander ? USAGE : exitCode);
}

/** With `--json`, the standard output has one document also when the command fails; an operator reads the standard error. */
function printProblem(code: string, message: string): void {
  if (!process.argv.includes('--json')) return;
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
}

/** The rules of a file, or those of the first rollout. */
export async function rulesOf(path: string | undefined): Promise<RolloutRules> {
  return path === undefined ? resolveRules(asyncUploadRollout) : loadRules(path);
}
