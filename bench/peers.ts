/**
 * This package beside other providers and circuit breakers: the same flag, on for half of the users, and the same contexts, without
 * network. Packs this package and installs it and the peers with npm into a temporary folder, as a service would have them.
 * Times are of the processor. Run with `npm run bench:peers`.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './harness.js';

const PEERS = [
  '@openfeature/server-sdk',
  '@openfeature/core',
  'unleash-client@6',
  '@launchdarkly/openfeature-node-server',
  '@launchdarkly/node-server-sdk',
  '@openfeature/flagd-provider',
  '@openfeature/flagd-core',
  '@openfeature/config-cat-provider',
  '@configcat/sdk',
  'configcat-node',
  '@datadog/openfeature-node-server',
  'opossum',
  'cockatiel',
];
/** Installed if npm has it. */
const UNLEASH_OWN = '@unleash/openfeature-node-provider';
const STARTS = 7;
const PROVIDERS = [
  'no-op',
  'unleash-rollout-guard',
  'LaunchDarkly',
  'flagd',
  'ConfigCat (without a percentage)',
  'Datadog',
];

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-peers-'));

interface Measured {
  readonly name: string;
  readonly ns: number;
  readonly ratio: number;
}

interface Start {
  readonly ms: number;
  readonly processorMs: number;
  readonly heapMB: number;
}

function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function install(): readonly string[] {
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const packed = npm(['pack', '--ignore-scripts', '--pack-destination', folder], root)
    .trim()
    .split('\n')
    .at(-1)!;
  const options = ['--no-audit', '--no-fund', '--ignore-scripts'];
  npm(['install', ...options, `./${packed}`, ...PEERS], folder);
  try {
    npm(['install', ...options, UNLEASH_OWN], folder);
  } catch {
    console.log(`Unleash's own provider is skipped: npm has no ${UNLEASH_OWN}.`);
  }
  for (const file of ['contestants.mjs', 'worker.mjs']) {
    copyFileSync(join(root, 'bench/peers', file), join(folder, file));
  }
  return ['unleash-rollout-guard', ...PEERS].map((spec) => {
    const name = spec.replace(/(?<=.)@\d+$/, '');
    const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
    return `${name} ${version}`;
  });
}

function worker<Result>(...args: readonly string[]): Result {
  const printed = execFileSync(process.execPath, ['--expose-gc', 'worker.mjs', ...args], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(printed.trim().split('\n').at(-1)!);
}

function print(title: string, measured: readonly Measured[]): void {
  console.log(`\n${title}`);
  console.table(
    Object.fromEntries(
      measured.map(({ name, ns, ratio }) => [name, { ns: Math.round(ns), ratio: Number(ratio.toFixed(2)) }]),
    ),
  );
}

try {
  console.log(`${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n${install().join(', ')}`);
  const { alone, clients, operations, skipped } = worker<
    Readonly<Record<'alone' | 'clients' | 'operations', Measured[]>> & { readonly skipped: readonly string[] }
  >('speed');
  for (const line of skipped) console.log(`Skipped: ${line}`);
  print('The provider alone', alone);
  print('Through the OpenFeature client', clients);
  print('An operation', operations);

  console.log(`\nImport and start of a process of its own, median of ${STARTS}`);
  const starts = new Map(PROVIDERS.map((name) => [name, [] as Start[]]));
  for (let round = 0; round < STARTS; round++) {
    for (const [name, list] of starts) list.push(worker<Start>('start', name));
  }
  const of = (list: readonly Start[], key: keyof Start) =>
    Number(median(list.map((each) => each[key])).toFixed(1));
  console.table(
    Object.fromEntries(
      Array.from(starts, ([name, list]) => [
        name,
        { 'processor ms': of(list, 'processorMs'), ms: of(list, 'ms'), 'heap MB': of(list, 'heapMB') },
      ]),
    ),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
