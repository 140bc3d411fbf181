import { once } from 'node:events';
import type { Command } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { messageOf } from '../support/async/callbacks.js';
import { complete, pathOption } from './command.js';

const HELP = `
The services share the same Redis (new RedisOutcomeStore), have the same rules, and need no admin token: only this process,
the controller, turns the flag off. It logs JSON lines, and ends on SIGTERM or Ctrl-C; another controller then leads at once.

  { "flagKey": "async-upload",
    "unleash": { "url": "https://unleash.example.com/api", "environment": "production" },
    "rollback": [{ "successRateBelow": [0.95, { "minOutcomes": 100 }] }, { "criticalErrors": [] }] }

or "flags": { "async-upload": { "rollback": … }, … } for several, or a JavaScript module that exports the same, with triggers made by the package's functions, and notify. A module is executed.
The triggers, review and stages are those of rollout-guard replay --help. Keep secrets out of the file; they are read from the
environment: UNLEASH_ADMIN_TOKEN (unleash.token), UNLEASH_CLIENT_TOKEN (unleash.clientToken), REDIS_URL (redis.url).
See docs/fleet.md.

Exit codes: 0 ended by a signal, 1 it cannot start, 2 wrong usage or an invalid configuration.`;

const FAILED = 1;

/** Adds the subcommand `run`. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .description('Runs a controller: it decides for a fleet of processes, so that they need no admin token.')
    .requiredOption('--config <file>', 'the configuration: JSON, or a JavaScript module')
    .option('--json', 'as without it: the log is lines of JSON', false);
  complete(command, HELP, z.object({ config: pathOption }), async ({ config }) => {
    // Registered before the start, which may wait for Unleash and can be ended too.
    const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    // No other command needs OpenFeature and unleash-client, which take a while to load.
    const { Controller } = await import('./controller/controller.js');
    const controller = await Controller.fromFile(config, process.env, pino({ name: 'rollout-guard' }));
    try {
      await Promise.race([controller.start(), ended]);
    } catch (error) {
      await controller.close();
      command.error(messageOf(error), { exitCode: FAILED, code: 'NOT_STARTED' });
    }
    await ended;
    await controller.close();
    // A client or a notifier of a module may keep the process alive.
    process.exit(0);
  });
}
