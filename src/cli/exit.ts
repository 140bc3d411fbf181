import type { Command, CommanderError } from 'commander';
import { isConfigError } from '../support/config-error.js';

/** What every command ends with when it was used wrongly. */
export const USAGE = 2;

/** Ends the process: with what the command ended itself with, or as wrong usage, which commander found. */
export function exitWith({ code, exitCode }: CommanderError): never {
  process.exit(code === 'commander.error' || exitCode === 0 ? exitCode : USAGE);
}

/** Ends the command with a message for a person where the error is one; throws any other on. */
export function endWithProblem(command: Command, error: unknown): never {
  if (isConfigError(error)) command.error(error.message, { exitCode: USAGE });
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    command.error(error.message, { exitCode: 1 });
  }
  throw error;
}
