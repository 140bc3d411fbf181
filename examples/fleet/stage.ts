import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedUnleash, startEmbeddedUnleash } from 'unleash-rollout-guard/testing';
import { FleetProcess } from './fleet-process.js';
import { FLAG_KEY } from './messages.js';
import { RedisServer } from './redis-server.js';
import { FleetTotals } from './redis-totals.js';

const PROCESSES = 6;
/** The others neither lead nor call Unleash's admin API. */
const WITH_ADMIN_TOKEN = 2;
export const PERCENTAGE = 10;

/** Everything that plays, all of it real and on this machine. */
export interface Stage {
  readonly unleash: EmbeddedUnleash;
  readonly processes: readonly FleetProcess[];
  readonly totals: FleetTotals;
}

/** What was started, to be ended in the opposite order, however far the start came. */
export class Closing {
  readonly #closers: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  /** @returns what could not be ended. */
  async all(): Promise<unknown[]> {
    const problems: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      await close().catch((error) => problems.push(error));
    }
    return problems;
  }
}

/** Starts Redis, Unleash with the flag on for some users, and the processes. */
export async function setStage(closing: Closing): Promise<Stage> {
  const redisUrl = await startRedis(closing);
  const folder = await mkdtemp(join(tmpdir(), 'rollout-guard-fleet-'));
  closing.add(() => rm(folder, { recursive: true }));
  const unleashStart = startEmbeddedUnleash();
  closing.add(() => unleashStart.then((unleash) => unleash.stop()));
  const processes = Array.from(
    { length: PROCESSES },
    (_, index) => new FleetProcess(`p${index + 1}`, index < WITH_ADMIN_TOKEN),
  );
  let totals: FleetTotals | undefined;
  closing.add(async () => await totals?.close());
  closing.add(() => Promise.all(processes.map((process) => process.close())));
  const unleash = await unleashStart;
  await unleash.createFlag(FLAG_KEY, { percentage: PERCENTAGE });

  // A Redis of your own may have other data: a prefix distinguishes these keys, which are removed at the end.
  const keyPrefix = `rollout-guard-fleet-demo-${randomBytes(4).toString('hex')}`;
  totals = await FleetTotals.connect(redisUrl, `${keyPrefix}:{${unleash.environment}/${FLAG_KEY}}`);

  const { apiUrl, clientToken, adminToken, project, environment } = unleash;
  await Promise.all(
    processes.map((process) =>
      process.serve({
        ...{ apiUrl, clientToken, project, environment, redisUrl, keyPrefix },
        adminToken: process.mayLead ? adminToken : undefined,
        folder: join(folder, process.name),
      }),
    ),
  );
  return { unleash, processes, totals };
}

/** Yours, when `REDIS_URL` is set, and otherwise one of its own. */
async function startRedis(closing: Closing): Promise<string> {
  if (process.env.REDIS_URL) return process.env.REDIS_URL;
  if (spawnSync('redis-server', ['--version']).error !== undefined) {
    throw new Error(
      'This needs Redis 6.2 or later: install redis-server (apt install redis-server, brew install redis), or set REDIS_URL.',
    );
  }
  const start = RedisServer.start();
  closing.add(() => start.then((server) => server.close()));
  return (await start).url;
}
