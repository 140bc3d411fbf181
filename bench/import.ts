/**
 * What importing this package costs beyond unleash-client and the OpenFeature SDK, which a service with Unleash loads anyway; and then
 * the first guard with its first call, which load the rest. The build, in processes of their own, in turns.
 * `npm run build && npm run bench:import`
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from './harness.js';

const ROUNDS = 21;
const root = fileURLToPath(new URL('..', import.meta.url));
const base = ['unleash-client', '@openfeature/server-sdk'];
const ours = [...base, 'unleash-rollout-guard'];
const entries = [...base, 'unleash-rollout-guard/redis', 'unleash-rollout-guard/opentelemetry'];

/** A first guard, and a call through it, before anything has come from Unleash: nothing answers at this address. */
const FIRST_GUARD = `
  const [, { OpenFeature }, { asyncUploadRollout, OutcomeHook, RolloutGuard, UnleashProvider }] = loaded;
  const url = 'http://127.0.0.1:9/api', logger = false;
  const flags = new UnleashProvider({ url, appName: 'bench', customHeaders: { Authorization: 'x' }, logger });
  const unleash = { url, token: '*:*.bench', environment: 'production' };
  const guard = new RolloutGuard({ flagKey: 'async-upload', flags, unleash, folder: false, logger, ...asyncUploadRollout });
  OpenFeature.addHooks(new OutcomeHook(guard));
  OpenFeature.setProvider(flags);
  await guard.operation({ treatment: () => 'new', control: () => 'old' })({ targetingKey: 'user-1' });`;

/** Each form has a base of its own: SDKs that are imported take longer than those that are required. */
const contestants = [
  { name: 'require: unleash-client + OpenFeature', packages: base, baseIndex: 0 },
  { name: 'require: … + unleash-rollout-guard', packages: ours, baseIndex: 0 },
  { name: 'require: … + its ./redis, ./opentelemetry', packages: entries, baseIndex: 0 },
  { name: 'require: … + a first guard and its first call', packages: ours, after: FIRST_GUARD, baseIndex: 0 },
  { name: 'import: unleash-client + OpenFeature', packages: base, isEsm: true, baseIndex: 4 },
  { name: 'import: … + unleash-rollout-guard', packages: ours, isEsm: true, baseIndex: 4 },
  {
    name: 'import: … + a first guard and its first call',
    packages: ours,
    isEsm: true,
    after: FIRST_GUARD,
    baseIndex: 4,
  },
];

/** One process. @returns milliseconds: by the clock, and of the processor, which other programs disturb less. */
function load({
  packages,
  isEsm = false,
  after = '',
}: (typeof contestants)[number]): readonly [wall: number, cpu: number] {
  const loads = packages.map((name) => (isEsm ? `await import('${name}')` : `require('${name}')`));
  const code = `(async () => {
    const t = performance.now(), c = process.cpuUsage();
    const loaded = [${loads.join(', ')}]; ${after}
    const { user, system } = process.cpuUsage(c);
    console.log(JSON.stringify([performance.now() - t, (user + system) / 1e3]));
    process.exit();
  })();`;
  const type = isEsm ? ['--input-type=module'] : [];
  const printed = execFileSync(process.execPath, [...type, '-e', code], { cwd: root, encoding: 'utf8' });
  return JSON.parse(printed);
}

const times = contestants.map((): [number[], number[]] => [[], []]);
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, contestant] of contestants.entries()) {
    const [wall, cpu] = load(contestant);
    times[index]![0].push(wall);
    times[index]![1].push(cpu);
  }
}
const medians = times.map(([wall, cpu]) => [median(wall), median(cpu)] as const);
console.log(`${`median of ${ROUNDS} processes`.padEnd(46)}   ms   beyond   ratio   processor ms   beyond`);
for (const [index, [wall, cpu]] of medians.entries()) {
  const { name, baseIndex } = contestants[index]!;
  const [baseWall, baseCpu] = medians[baseIndex]!;
  const cells = [wall, wall - baseWall, wall / baseWall, cpu, cpu - baseCpu].map((value, column) =>
    value.toFixed(column === 2 ? 2 : 0).padStart([5, 8, 7, 14, 8][column]!),
  );
  console.log(`${name.padEnd(46)}${cells.join(' ')}`);
}
