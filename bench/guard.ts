/**
 * What a guard adds to an evaluation through the OpenFeature client: the hook, and hook and operation together, alone and beside a hook of
 * the application, with the rules of `asyncUploadRollout`, the log and the rollups on. The arm does nothing. In turns, by processor time.
 * Run with `npx tsx bench/guard.ts`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { OutcomeHook } from '../hooks/outcome-hook.js';
import { UnleashProvider } from '../providers/unleash/provider.js';
import { asyncUploadRollout } from '../src/guard/options/async-upload-rollout.js';
import { RolloutGuard } from '../src/guard/rollout-guard.js';
import { FakeAdminApi } from '../test/helpers/fake-admin-api.js';
import { compare, printComparison } from './harness.js';

const FLAG = 'async-upload';
const TOGETHER = 'guard.operation(), with the hook';
const FURTHER = '… and a hook of the application';
const CONTEXTS = Array.from({ length: 4_096 }, (_, index) => ({
  // As long as a UUID, as most targeting keys are.
  targetingKey: `5f0c2b1e-8a4d-4c3b-9e57-${String(index).padStart(12, '0')}`,
}));
const MASK = CONTEXTS.length - 1;

function providerOf(): UnleashProvider {
  const unleash = new Unleash({
    url: 'http://localhost/api',
    appName: 'bench-guard',
    refreshInterval: 0,
    disableMetrics: false,
    metricsInterval: 0,
    storageProvider: new InMemStorageProvider(),
    bootstrap: {
      data: [
        {
          name: FLAG,
          enabled: true,
          project: 'default',
          strategies: [
            {
              name: 'flexibleRollout',
              parameters: { rollout: '50', stickiness: 'default', groupId: FLAG },
              constraints: [],
            },
          ],
        },
      ],
    },
  });
  return new UnleashProvider(unleash, { logger: false });
}

const folder = await mkdtemp(join(tmpdir(), 'bench-guard-'));
const clientOf = async (domain: string) => {
  const provider = providerOf();
  await OpenFeature.setProviderAndWait(domain, provider);
  return { provider, client: OpenFeature.getClient(domain) };
};

async function guarded(domain: string) {
  const { provider, client } = await clientOf(domain);
  const guard = new RolloutGuard({
    ...asyncUploadRollout,
    flagKey: FLAG,
    flags: provider,
    client,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    fetch: new FakeAdminApi().fetch,
    folder: join(folder, domain),
    logger: false,
  });
  client.addHooks(new OutcomeHook(guard));
  await guard.start();
  return { client, guard, upload: guard.operation({ treatment: async () => 1, control: async () => 0 }) };
}

const { client: plain } = await clientOf('plain');
// A guard for each: where nothing but the hook runs no exposure gets an outcome, and the operation would pay for settling them.
const hooked = await guarded('hooked');
const operated = await guarded('operated');
// OpenFeature runs its pipeline for such a hook, whatever it does.
const further = await guarded('further');
further.client.addHooks({ after: () => {} });

try {
  const measured = await compare([
    {
      name: 'through the OpenFeature client',
      async run(iterations) {
        for (let i = 0; i < iterations; i++) await plain.getBooleanDetails(FLAG, false, CONTEXTS[i & MASK]);
      },
    },
    {
      name: '… with the hook',
      async run(iterations) {
        for (let i = 0; i < iterations; i++)
          await hooked.client.getBooleanDetails(FLAG, false, CONTEXTS[i & MASK]);
      },
    },
    {
      name: TOGETHER,
      async run(iterations) {
        for (let i = 0; i < iterations; i++) await operated.upload(CONTEXTS[i & MASK]!, i);
      },
    },
    {
      name: FURTHER,
      async run(iterations) {
        for (let i = 0; i < iterations; i++) await further.upload(CONTEXTS[i & MASK]!, i);
      },
    },
  ]);
  printComparison('A guarded flag', measured, { [TOGETHER]: { ratio: 1.2 } });
  for (const { guard } of [operated, further]) {
    const { total } = guard.status().snapshot;
    if (total.treatment.successes === 0 || total.control.successes === 0)
      throw new Error('Nothing was recorded');
  }
} finally {
  await hooked.guard.close();
  await operated.guard.close();
  await further.guard.close();
  await OpenFeature.close();
  await rm(folder, { recursive: true, force: true });
}
