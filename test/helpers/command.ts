import { vi } from 'vitest';
import { rolloutGuard } from '../../src/cli/program.js';

/** How a command has ended, and what it wrote. */
export interface EndedCommand {
  readonly code: number;
  readonly out: string;
  readonly problems: string;
}

class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/**
 * Runs a command of `rollout-guard` to its end within this process, one at a time: for what a process of its own, which takes
 * a second to start, would add nothing to.
 *
 * @param env - All variables that the command sees.
 */
export async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv): Promise<EndedCommand> {
  const written = { out: '', problems: '' };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.out += text;
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.problems += text;
      return true;
    }),
    // Vitest has a console of its own.
    vi.spyOn(console, 'log').mockImplementation((text) => {
      written.out += `${text}\n`;
    }),
    vi.spyOn(process, 'exit').mockImplementation((code) => {
      throw new Exit(Number(code ?? process.exitCode ?? 0));
    }),
  ];
  const before = { env: process.env, argv: process.argv };
  process.env = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  process.argv = ['node', 'rollout-guard', ...args];
  try {
    await rolloutGuard().parseAsync();
    return { ...written, code: Number(process.exitCode ?? 0) };
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    return { ...written, code: error.code };
  } finally {
    Object.assign(process, before);
    // Vitest would end with it.
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}
