import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { isFleetError } from '../fleet/fleet-link.js';
import { formatTime } from '../report/format.js';
import { statusLineOf } from '../report/status/render.js';
import { NoGuardError, readFleetStatus } from '../report/status/rollout-status.js';
import { folderPlace, type WatchedPlace, Watching } from '../report/terminal/watching.js';
import { durationMsSchema } from '../support/config-schemas.js';
import { complete } from './command.js';
import {
  addFleetOptions,
  type Fleet,
  FleetChoice,
  fleetFields,
  isFleetTarget,
} from './fleets/fleet-choice.js';
import { TerminalScreen } from './terminal-screen.js';

const HELP = `
On a terminal: state and health, the stage and what it still needs, error rate and p95 of the last hour, evidence of each trigger, and what
happened last. It fits any size from 40 columns on; q or Ctrl-C ends it. NO_COLOR=1 shows it without colours.
Elsewhere, a line is printed whenever something important changes.

Exit codes: 0 it was ended, 1 the folder or Redis cannot be read, 2 wrong usage.`;

const optionsSchema = z.object({ interval: durationMsSchema, json: z.boolean(), ...fleetFields });

/** Adds the subcommand `watch`. */
export function registerWatch(program: Command): void {
  const command = program
    .command('watch')
    .description('Shows the state of a rollout and keeps it up to date.')
    .argument('<source>', 'the folder of the guard, which may not exist yet, or redis://… of its fleet')
    .option('--interval <ms>', 'how often to read it, in milliseconds', Number, 1_000)
    .option('--json', 'print a line of JSON whenever something important changes', false);
  addFleetOptions(command);
  complete(command, HELP, optionsSchema, async ({ interval, json, ...wanted }, source) => {
    const ending = new AbortController();
    const end = () => ending.abort();
    process.once('SIGINT', end).once('SIGTERM', end).once('SIGHUP', end);
    const choice = isFleetTarget(source, wanted) ? new FleetChoice(source, wanted) : undefined;
    const watching = new Watching(choice === undefined ? folderPlace(source) : fleetPlace(choice));
    try {
      if (process.stdout.isTTY === true && !json) await onTerminal(watching, interval, ending);
      else await inLines(watching, interval, ending.signal, json);
    } finally {
      choice?.close();
      process.off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end);
    }
  });
}

async function onTerminal(watching: Watching, interval: number, ending: AbortController): Promise<void> {
  const screen = new TerminalScreen(process.stdout, process.stdin, () => ending.abort());
  let draw = () => screen.draw([]);
  screen.open(() => draw());
  try {
    while (!ending.signal.aborted) {
      const watched = await watching.read().catch(emptyFor(watching.name));
      draw = () =>
        screen.draw(
          typeof watched === 'string' ? [watched] : watching.screen(watched, screen.size, screen.paint),
        );
      draw();
      await sleep(interval, undefined, { signal: ending.signal }).catch(() => {});
    }
  } finally {
    screen.close();
  }
}

async function inLines(
  watching: Watching,
  interval: number,
  signal: AbortSignal,
  json: boolean,
): Promise<void> {
  let shown: string | undefined;
  while (!signal.aborted) {
    const statuses = await watching.statuses().catch(emptyFor(watching.name));
    const text = typeof statuses === 'string' ? statuses : statusLineOf(statuses);
    if (text !== shown) {
      const at = Date.now();
      console.log(
        json
          ? JSON.stringify({ at, text, guards: typeof statuses === 'string' ? [] : statuses })
          : `${formatTime(at)} | ${text}`,
      );
    }
    shown = text;
    await sleep(interval, undefined, { signal }).catch(() => {});
  }
}

/** The only fleet that fits, which may begin later. */
function fleetPlace(choice: FleetChoice): WatchedPlace {
  let found: Fleet | undefined;
  const fleet = async () => {
    found ??= await choice.one();
    return found;
  };
  return {
    name: choice.place,
    statuses: async () => {
      const { name, flagKey, rollout } = await fleet();
      return [await readFleetStatus(name, flagKey, rollout)];
    },
    history: async (range) => (await fleet()).rollout.history(range),
  };
}

/** The command may have been started before the guard, and Redis may be away for a while. */
function emptyFor(name: string) {
  return (error: unknown): string => {
    if (isFleetError(error) && !error.requiresAction) return `${name}: ${error.message}`;
    if (!(error instanceof NoGuardError)) throw error;
    return `No guard has written to ${name} yet.`;
  };
}
