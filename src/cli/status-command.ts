import type { Command } from 'commander';
import { z } from 'zod';
import { renderStatus } from '../report/status/render.js';
import { readRolloutStatus } from '../report/status/rollout-status.js';
import { complete } from './command.js';

const HELP = `
Exit codes: 0 the guard is armed, 1 the folder cannot be read, 2 wrong usage, 3 the flag is being stopped or stopped,
4 the guard is armed and blind, or closed: see docs/reliability.md.`;

const STOPPED = 3;
const BLIND = 4;

/** Adds the subcommand `status`. */
export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .description('Shows the state of a rollout, from the folder of its guard.')
    .argument('<folder>', 'the folder of the guard, for example logs/async_upload_rollout')
    .option('--json', 'print the status as JSON', false);
  complete(command, HELP, z.object({ json: z.boolean() }), async ({ json }, folder) => {
    const status = await readRolloutStatus(folder);
    console.log(json ? JSON.stringify(status, undefined, 2) : renderStatus(status, Date.now()));
    if (status.state !== 'armed') process.exitCode = STOPPED;
    else if (status.health?.status === 'blind') process.exitCode = BLIND;
  });
}
