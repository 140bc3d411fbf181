import { execFile } from 'node:child_process';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { EmbeddedUnleash } from '../../src/testing/index.js';
import { openLink } from '../helpers/breakable-link.js';
import { Backend } from './backend.js';
import { CertificateAuthority } from './certificates.js';
import type { Setup, World } from './fault.js';
import { FaultyProxy } from './faulty-proxy.js';
import { Load } from './load.js';
import type { MachineNoise } from './machine-noise.js';
import { ServiceProcess } from './service-process.js';

const run = promisify(execFile);

/** What all faults share. */
export interface Lab {
  readonly unleash: EmbeddedUnleash;
  readonly noise: MachineNoise;
  /** The compiled service. */
  readonly program: string;
  /** Everything is written below it. */
  readonly folder: string;
}

const REQUESTS_PER_SECOND = 30;
const DAY_MS = 86_400_000;

/**
 * Starts a service under no load yet, with the flag at 50 %.
 *
 * @param flagKey - No other world has it.
 * @param onEnd - Gets what undoes each step, also when a later one fails.
 */
export async function buildWorld(
  lab: Lab,
  flagKey: string,
  setup: Setup,
  onEnd: World['onEnd'],
): Promise<World> {
  const { unleash } = lab;
  const own = await mkdtemp(join(lab.folder, `${flagKey}-`));
  await unleash.createFlag(flagKey, { percentage: 50 });
  const backend = await Backend.start();
  onEnd(() => backend[Symbol.asyncDispose]());
  backend.delayMs = setup.backendMs ?? backend.delayMs;

  const authority = setup.certificateMs === undefined ? undefined : await authorityIn(own);
  const tls = await authority?.issue(setup.certificateMs!);
  const expiresAt = Date.now() + (setup.certificateMs ?? 0);
  const [admin, client] = await Promise.all([
    FaultyProxy.start(unleash.url, tls),
    FaultyProxy.start(unleash.url, tls),
  ]);
  onEnd(() => Promise.all([admin[Symbol.asyncDispose](), client[Symbol.asyncDispose]()]));
  const renew = async () => {
    const renewed = await authority!.issue(DAY_MS);
    for (const proxy of [admin, client]) proxy.setCertificate(renewed);
  };

  const redis = await startRedis(setup, onEnd);
  const redisLink = redis.length > 0 && setup.redis !== 'cluster' ? await openLink(redis[0]!.url) : undefined;
  if (redisLink !== undefined) onEnd(() => redisLink.pause());
  const redisUrls = redisLink === undefined ? redis.map(({ url }) => url) : [asRedisUrl(redisLink.url)];

  const count = setup.processes ?? (setup.redis === undefined ? 1 : 2);
  const folders = Array.from({ length: count }, (_, index) => join(own, `guard-${index + 1}`));
  for (const folder of folders) {
    await mkdir(folder, { mode: 0o700 });
    await setup.prepare?.(folder, onEnd);
  }
  const { adminToken, clientToken, environment, project } = unleash;
  const processes = folders.map(
    (folder) =>
      new ServiceProcess(
        {
          ...{ flagKey, folder, adminToken, clientToken, environment, project, redisUrls },
          adminUrl: `${admin.url}/api`,
          clientUrl: `${client.url}/api`,
          backendUrl: backend.url,
          timeoutMs: setup.timeoutMs ?? 10_000,
        },
        {
          program: lab.program,
          isUnprivileged: setup.isUnprivileged ?? false,
          env: authority === undefined ? {} : { NODE_EXTRA_CA_CERTS: authority.certFile },
        },
      ),
  );
  onEnd(() => Promise.all(processes.map((each) => each.kill())));
  await Promise.all(processes.map((each) => each.start()));
  const load = new Load(processes, REQUESTS_PER_SECOND, lab.noise);
  onEnd(() => load.close());
  return {
    ...{ unleash, flagKey, admin, client, backend, load, processes, redis, redisLink, onEnd },
    folder: folders[0]!,
    certificate: authority === undefined ? undefined : { expiresAt, renew },
  };
}

async function authorityIn(own: string): Promise<CertificateAuthority> {
  const folder = join(own, 'certificates');
  await mkdir(folder);
  return CertificateAuthority.create(folder);
}

async function startRedis({ redis, redisArgs = [] }: Setup, onEnd: World['onEnd']): Promise<RedisServer[]> {
  if (redis === undefined) return [];
  const start = async (...args: string[]) => {
    const server = await RedisServer.start(...args, ...redisArgs);
    onEnd(() => server.close());
    return server;
  };
  if (redis === 'single') return [await start()];
  if (redis === 'replica') {
    const master = await start();
    const replica = await start('--replicaof', '127.0.0.1', String(master.port));
    await until(async () => (await cli(replica, 'info', 'replication')).includes('master_link_status:up'));
    return [master, replica];
  }
  const nodes = await Promise.all([1, 2, 3].map(() => start('--cluster-enabled', 'yes')));
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  await cli(nodes[0]!, '--cluster', 'create', ...addresses, '--cluster-yes');
  const isReady = async (node: RedisServer) =>
    (await cli(node, 'cluster', 'info')).includes('cluster_state:ok');
  await until(async () => (await Promise.all(nodes.map(isReady))).every(Boolean));
  return nodes;
}

async function cli(server: RedisServer, ...args: string[]): Promise<string> {
  return (await run('redis-cli', ['-p', String(server.port), ...args])).stdout;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; !(await condition()); attempt++) {
    if (attempt === 200) throw new Error('Redis did not get ready.');
    await sleep(50);
  }
}

function asRedisUrl(url: string): string {
  return url.replace('http:', 'redis:');
}
