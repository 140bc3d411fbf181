import { once } from 'node:events';
import type { Command } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { parseConfig } from '../support/config-error.js';
import type { Controller } from './controller/controller.js';
import { endWithProblem, exitWith } from './exit.js';

const HELP = `
The services share the same Redis (new RedisOutcomeStore) and have the same rules, and need no admin token: this process
alone turns the flag off. It logs JSON lines, and ends on SIGTERM or Ctrl-C; another process may then judge at once.

  { "flagKey": "async-upload",
    "unleash": { "url": "https://unleash.example.com/api", "environment": "production" },
    "rollback": [{ "successRateBelow": [0.95, { "minOutcomes": 100 }] }, { "criticalErrors": [] }] }

or a JavaScript module that exports the same, with triggers made by the package's functions, and notify. A module is run.
The triggers, review and stages are those of rollout-guard replay --help. What should be in no file is taken from the
environment: UNLEASH_ADMIN_TOKEN (unleash.token), UNLEASH_CLIENT_TOKEN (unleash.clientToken), REDIS_URL (redis.url).
See docs/fleet.md.

Exit codes: 0 it was ended, 1 it cannot start, 2 wrong usage or a wrong configuration.`;

const FAILED = 1;

const optionsSchema = z.object({ config: z.string().min(1) });

/** Adds the subcommand `run`. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('Judges what the processes of a fleet recorded, so that they need no admin token.')
    .requiredOption('--config <file>', 'what to judge: JSON, or a JavaScript module')
    .addHelpText('after', HELP)
    .exitOverride(exitWith);

  command.action(async (given: unknown) => {
    // From the beginning: a start that waits for Unleash can be ended too.
    const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    const judge = await judgeOf(command, given);
    try {
      await Promise.race([judge.start(), ended]);
    } catch (error) {
      await judge.close();
      command.error(error instanceof Error ? error.message : String(error), { exitCode: FAILED });
    }
    await ended;
    await judge.close();
    // A client or a notifier of a module's own may hold the process.
    process.exit(0);
  });
}

async function judgeOf(command: Command, given: unknown): Promise<Controller> {
  try {
    const { config } = parseConfig(optionsSchema, given, 'options');
    // No other command needs OpenFeature and unleash-client, which take a while to load.
    const { Controller } = await import('./controller/controller.js');
    return await Controller.fromFile(config, process.env, pino({ name: 'rollout-guard' }));
  } catch (error) {
    endWithProblem(command, error);
  }
}
