import type { Command } from 'commander';
import { z } from 'zod';
import { ConfigError } from '../../support/config-error.js';
import { complete } from '../command.js';
import { SHELLS, type Shell, scriptFor } from './shell-scripts.js';

const HELP = `
  bash  eval "$(rollout-guard completion bash)"                      in ~/.bashrc
  zsh   eval "$(rollout-guard completion zsh)"                       in ~/.zshrc, after compinit
  fish  rollout-guard completion fish > ~/.config/fish/completions/rollout-guard.fish

It completes commands, their options and the values of options that have a few. Exit codes: 0 done, 2 wrong usage.`;

/** Adds the subcommand `completion`. */
export function registerCompletion(program: Command): void {
  const command = program
    .command('completion')
    .description('Prints a script by which a shell completes this command.')
    .argument('<shell>', SHELLS.join(', '))
    .option('--json', 'print the script within JSON', false);
  complete(command, HELP, z.object({ json: z.boolean() }), async ({ json }, shell) => {
    if (!(SHELLS as readonly string[]).includes(shell)) {
      throw new ConfigError('shell', [
        { path: '', expected: `one of ${SHELLS.join(', ')}`, got: `"${shell}"` },
      ]);
    }
    const script = scriptFor(shell as Shell, program);
    process.stdout.write(json ? `${JSON.stringify({ shell, script })}\n` : script);
  });
}
