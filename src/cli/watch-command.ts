import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { formatTime } from '../report/format.js';
import { renderStatus, statusLine } from '../report/status/render.js';
import { NoGuardError, type RolloutStatus, readRolloutStatus } from '../report/status/rollout-status.js';
import { durationMsSchema } from '../support/config-schemas.js';
import { complete } from './command.js';

const HELP = `
On a terminal, the table is updated every second; elsewhere, a line is printed whenever something changes.
Ctrl-C ends it.

Exit codes: 0 it was ended, 1 the folder cannot be read, 2 wrong usage.`;

const CLEAR = '\x1b[H\x1b[J';
const OTHER_SCREEN = '\x1b[?1049h\x1b[?25l';
const SCREEN_BACK = '\x1b[?25h\x1b[?1049l';

const optionsSchema = z.object({ interval: durationMsSchema });

/** Adds the subcommand `watch`. */
export function registerWatch(program: Command): void {
  const command = program
    .command('watch')
    .description('Shows the state of a rollout and keeps it up to date.')
    .argument('<folder>', 'the folder of the guard; it may not exist yet')
    .option('--interval <ms>', 'how often to read the folder, in milliseconds', Number, 1_000);
  complete(command, HELP, optionsSchema, async ({ interval }, folder) => {
    const ending = new AbortController();
    const end = () => ending.abort();
    process.once('SIGINT', end).once('SIGTERM', end);
    const isTerminal = process.stdout.isTTY === true;
    let shown: string | undefined;
    if (isTerminal) process.stdout.write(OTHER_SCREEN);
    try {
      while (!ending.signal.aborted) {
        const now = Date.now();
        const text = await describe(folder, isTerminal ? (status) => renderStatus(status, now) : statusLine);
        if (isTerminal) process.stdout.write(`${CLEAR}${text}\n\n${formatTime(now)}, Ctrl-C ends\n`);
        else if (text !== shown) console.log(`${formatTime(now)} | ${text}`);
        shown = text;
        await sleep(interval, undefined, { signal: ending.signal }).catch(() => {});
      }
    } finally {
      if (isTerminal) process.stdout.write(SCREEN_BACK);
      process.off('SIGINT', end).off('SIGTERM', end);
    }
  });
}

async function describe(folder: string, render: (status: RolloutStatus) => string): Promise<string> {
  try {
    return render(await readRolloutStatus(folder));
  } catch (error) {
    if (!(error instanceof NoGuardError)) throw error;
    // The command may have been started before the guard.
    return `No guard has written to ${folder} yet.`;
  }
}
