// One process of `npm run bench:peers`: `speed`, or `start <provider>`. Prints JSON.
import { mkdtempSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { FLAG, PROVIDERS, rawUnleash } from './contestants.mjs';

const [mode, name] = process.argv.slice(2);
const cpuMs = (since) => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
};

const contexts = Array.from({ length: 4_096 }, (_, index) => ({
  targetingKey: `5f0c2b1e-8a4d-4c3b-9e57-${String(index).padStart(12, '0')}`,
}));
const quiet = { error() {}, warn() {}, info() {}, debug() {} };

async function start() {
  const before = process.memoryUsage();
  const cpu = process.cpuUsage();
  const from = performance.now();
  const { OpenFeature } = await import('@openfeature/server-sdk');
  OpenFeature.setLogger(quiet);
  const provider = name === undefined ? undefined : await PROVIDERS[name].make();
  if (provider !== undefined) await OpenFeature.setProviderAndWait(provider);
  const ms = performance.now() - from;
  const processorMs = cpuMs(cpu);
  globalThis.gc();
  const after = process.memoryUsage();
  console.log(JSON.stringify({ ms, processorMs, heapMB: (after.heapUsed - before.heapUsed) / 2 ** 20 }));
  process.exit(0);
}

/** Before that the engine compiles. */
const WARM_MS = 500;

/** Each in turn, many short rounds; the median of its processor time, and of its ratio to the first one. */
async function compare(contestants, rounds = 61, iterations = 500) {
  for (const { run } of contestants) {
    const from = process.cpuUsage();
    while (cpuMs(from) < WARM_MS) await run(iterations);
  }
  const took = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < contestants.length; k++) {
      const index = (round + k) % contestants.length;
      const cpu = process.cpuUsage();
      await contestants[index].run(iterations);
      took[index].push((cpuMs(cpu) * 1e6) / iterations);
      await turn();
    }
  }
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
  return contestants.map((contestant, index) => ({
    name: contestant.name,
    ns: median(took[index]),
    ratio: median(took[index].map((ns, round) => ns / took[0][round])),
  }));
}

const looped = (label, once) => {
  let next = 0;
  return {
    name: label,
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) {
        const index = next++ & 4_095;
        await once(contexts[index], index);
      }
    },
  };
};

async function speed() {
  const { OpenFeature } = await import('@openfeature/server-sdk');
  const { OutcomeHook, RolloutGuard, UnleashProvider, asyncUploadRollout } = await import(
    'unleash-rollout-guard'
  );
  OpenFeature.setLogger(quiet);
  const skipped = [];
  const alone = [];
  const clients = [];

  const raw = await rawUnleash();
  await new Promise((resolve) => raw.once('ready', resolve));
  // Made beforehand, and not looked up in a map: that would cost as much as a provider may.
  const rawContexts = contexts.map(({ targetingKey }) => ({ userId: targetingKey }));
  alone.push(looped('unleash-client, raw', async (_, index) => raw.isEnabled(FLAG, rawContexts[index])));

  for (const [label, { make }] of Object.entries(PROVIDERS)) {
    try {
      const provider = await make();
      await OpenFeature.setProviderAndWait(label, provider);
      const client = OpenFeature.getClient(label);
      let on = 0;
      for (let i = 0; i < 200; i++) {
        const { value, errorMessage } = await client.getBooleanDetails(FLAG, false, contexts[i]);
        if (errorMessage !== undefined) throw new Error(errorMessage);
        if (value) on++;
      }
      if (label !== 'no-op' && on === 0) throw new Error('its flag was never on');
      alone.push(looped(label, (context) => provider.resolveBooleanEvaluation(FLAG, false, context, quiet)));
      clients.push(looped(label, (context) => client.getBooleanDetails(FLAG, false, context)));
    } catch (error) {
      skipped.push(`${label}: ${String(error.message).split('\n')[0]}`);
    }
  }

  const folder = mkdtempSync('guard-');
  const guarded = async (domain) => {
    const provider = new UnleashProvider(await rawUnleash(), { logger: false });
    await OpenFeature.setProviderAndWait(domain, provider);
    const client = OpenFeature.getClient(domain);
    const guard = new RolloutGuard({
      ...asyncUploadRollout,
      flagKey: FLAG,
      flags: provider,
      client,
      unleash: { url: 'http://127.0.0.1:1/api', token: '*:*.made-up', environment: 'production' },
      fetch: async () => Response.json({}),
      folder: `${folder}/${domain}`,
      logger: false,
    });
    client.addHooks(new OutcomeHook(guard));
    await guard.start();
    return { client, guard };
  };
  // A guard for each: without an operation no exposure gets an outcome, and the operation would pay for settling them.
  const hooked = await guarded('hooked');
  const { guard } = await guarded('operated');
  const upload = guard.operation({ treatment: async () => 1, control: async () => 0 });
  const { default: CircuitBreaker } = await import('opossum');
  const cockatiel = (await import('cockatiel')).default;
  const work = async () => 1;
  const breaker = new CircuitBreaker(work, { timeout: 30_000 });
  const policy = cockatiel.wrap(
    cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2 }),
    cockatiel.timeout(30_000, cockatiel.TimeoutStrategy.Aggressive),
  );
  const ours = clients.find(({ name: label }) => label === 'unleash-rollout-guard');
  const plain = OpenFeature.getClient('unleash-rollout-guard');
  const evaluate = (context) => plain.getBooleanDetails(FLAG, false, context);

  const result = {
    alone: await compare(alone),
    clients: await compare([ours, ...clients.filter((each) => each !== ours)]),
    operations: await compare([
      looped('the evaluation through the client', evaluate),
      looped('… with the hook', (context) => hooked.client.getBooleanDetails(FLAG, false, context)),
      looped('guard.operation(), with the hook, log and rollups', (context) => upload(context, 1)),
      looped('the evaluation, then opossum with a time limit', async (context) => {
        await evaluate(context);
        await breaker.fire();
      }),
      looped('the evaluation, then cockatiel: retry and time limit', async (context) => {
        await evaluate(context);
        await policy.execute(work);
      }),
    ]),
    skipped,
  };
  await hooked.guard.close();
  await guard.close();
  rmSync(folder, { recursive: true, force: true });
  console.log(JSON.stringify(result));
  process.exit(0);
}

await (mode === 'start' ? start() : speed());
