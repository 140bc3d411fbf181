import type { Command } from 'commander';
import { z } from 'zod';
import { renderStatuses } from '../report/status/render.js';
import { readFleetStatus, readRolloutStatuses } from '../report/status/rollout-status.js';
import { complete } from './command.js';
import { addFleetOptions, fleetFields, isFleetTarget, withFleetOf } from './fleets/fleet-choice.js';

const HELP = `
Further guards of the same flag, of other processes, have folders of their own within this one (guard-2, …); all are shown. A fleet is
shown as a whole, from its Redis.

Exit codes: 0 every guard is armed, 1 the folder or Redis cannot be read, 2 wrong usage, 3 a flag is being stopped or stopped,
4 a guard is armed and blind, or closed: see docs/reliability.md.`;

const STOPPED = 3;
const BLIND = 4;

/** Adds the subcommand `status`. */
export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .description('Shows the state of a rollout, from the folder of its guard or the Redis of its fleet.')
    .argument('<source>', 'the folder of the guard, for example logs/async_upload_rollout, or redis://…')
    .option('--json', 'print the status as JSON', false);
  addFleetOptions(command);
  const optionsSchema = z.object({ json: z.boolean(), ...fleetFields });
  complete(command, HELP, optionsSchema, async ({ json, ...wanted }, source) => {
    const statuses = isFleetTarget(source, wanted)
      ? await withFleetOf(source, wanted, async ({ name, flagKey, rollout }) => [
          await readFleetStatus(name, flagKey, rollout),
        ])
      : await readRolloutStatuses(source);
    const [first, ...others] = statuses;
    console.log(
      json ? JSON.stringify({ ...first, others }, undefined, 2) : renderStatuses(statuses, Date.now()),
    );
    if (statuses.some(({ state }) => state !== 'armed')) process.exitCode = STOPPED;
    else if (statuses.some(({ health }) => health?.status === 'blind')) process.exitCode = BLIND;
  });
}
