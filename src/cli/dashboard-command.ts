import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Command } from 'commander';
import { z } from 'zod';
import { resolveDashboardOptions } from '../dashboard/dashboard-options.js';
import { DashboardServer } from '../dashboard/server/dashboard-server.js';
import type { RolloutSource } from '../dashboard/source.js';
import { messageOf } from '../support/async/callbacks.js';
import { countOf } from '../support/wording.js';
import { complete } from './command.js';
import { isRedisUrl } from './controls/control-target.js';
import { addFleetOptions, fleetFields, isFleetTarget } from './fleets/fleet-choice.js';
import { SourceFinder } from './fleets/source-finder.js';

const HELP = `
A source is a guard's folder, a folder with such folders in it, or the Redis of fleets (redis://… or rediss://…), all of whose flags are
shown; several may be given. What is guarded later appears by itself.

The address that is printed has a token, which the browser needs once. The dashboard listens on this machine only, unless --host says
otherwise. It is read-only. Ctrl-C ends it.

Exit codes: 0 it was ended, 1 a source cannot be read or the port is taken, 2 wrong usage.`;

/** How often the sources are searched for flags, in milliseconds. */
const SEARCH_MS = 3_000;

const PORT = 'a port, 0–65535; 0 is a free one';

const optionsSchema = z.object({
  port: z.coerce
    .number({ error: PORT })
    .int({ error: PORT })
    .min(0, { error: PORT })
    .max(65_535, { error: PORT }),
  host: z.string().min(1),
  ...fleetFields,
  json: z.boolean(),
});

/** Where flags are found. */
interface Finder {
  readonly sources: readonly RolloutSource[];
  search(): Promise<void>;
}

/** The command cannot begin. */
class DashboardError extends Error {
  override readonly name = 'DashboardError';
  readonly code = 'DASHBOARD';
}

/** Adds the subcommand `dashboard`. */
export function registerDashboard(program: Command): void {
  const command = program
    .command('dashboard')
    .description(
      'Shows rollouts live in the browser, from the folders of their guards or the Redis of their fleets.',
    )
    .argument('<source...>', 'folders, for example logs/async_upload_rollout, or redis:// and rediss:// URLs')
    .option('--port <port>', 'where to listen; 0 is a free port', '0')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--json', 'print the address as JSON', false);
  addFleetOptions(command);
  complete(command, HELP, optionsSchema, async ({ port, host, json, ...wanted }) => {
    const urls = command.args.filter(isRedisUrl);
    const folders = command.args.filter((source) => !isRedisUrl(source));
    for (const folder of folders) isFleetTarget(folder, urls.length > 0 ? {} : wanted);
    const finder = new SourceFinder(folders, urls, wanted);
    await search(finder);
    const token = randomBytes(24).toString('base64url');
    const dashboard = new DashboardServer(() => finder.sources, resolveDashboardOptions({ token }));
    const server = await listen(dashboard, port, host);
    const { sources } = finder;
    const url = `${addressOf(server)}/?token=${token}`;
    const found = sources.length === 0 ? 'Nothing is guarded there yet' : countOf(sources.length, 'flag');
    // Whoever reads the address may end the command at once.
    const ending = ended(finder);
    console.log(json ? JSON.stringify({ url, flags: sources.length }) : `${found}: ${url}\nCtrl-C ends it.`);
    await ending;
    dashboard.close();
    finder.close();
    server.close();
    server.closeAllConnections();
  });
}

/** @throws DashboardError that says in one sentence what is wrong. */
async function search(finder: Finder): Promise<void> {
  try {
    await finder.search();
  } catch (error) {
    throw new DashboardError(messageOf(error));
  }
}

async function listen(dashboard: DashboardServer, port: number, host: string): Promise<Server> {
  const server = createServer((request, response) => void dashboard.handle(request, response));
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new DashboardError(`The dashboard cannot listen on ${host}:${port}: ${messageOf(error)}`);
  }
  return server;
}

function addressOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  // A browser opens no address that stands for all.
  const host = /^(0\.0\.0\.0|::)$/.test(address) ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}

/** Searches again and again, until the command is ended. */
async function ended(finder: Finder): Promise<void> {
  let problem: string | undefined;
  const timer = setInterval(async () => {
    try {
      await finder.search();
      problem = undefined;
    } catch (error) {
      const message = messageOf(error);
      if (message !== problem) console.error(message);
      problem = message;
    }
  }, SEARCH_MS);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(timer);
}
