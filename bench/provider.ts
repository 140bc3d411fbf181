/**
 * What the provider adds to unleash-client: one evaluation of a 50 % rollout, with 1 and with 6 context attributes.
 * Run with `npx tsx bench/provider.ts`.
 */
import type { EvaluationContext } from '@openfeature/server-sdk';
import { type Context, InMemStorageProvider, Unleash } from 'unleash-client';
import { UnleashProvider } from '../providers/unleash/provider.js';
import { compare, printComparison } from './harness.js';

const FLAG = 'async-upload';
/** As long as a UUID, as most targeting keys are: unleash-client hashes them. */
const USERS = Array.from(
  { length: 1_024 },
  (_, index) => `5f0c2b1e-8a4d-4c3b-9e57-${String(index).padStart(12, '0')}`,
);
const ATTRIBUTES = { plan: 'pro', country: 'DE', version: 42, device: 'ios', tenant: 'acme' };
const rollout = { groupId: FLAG, rollout: '50', stickiness: 'default' };
const flag = {
  name: FLAG,
  enabled: true,
  // As every flag of a server has.
  project: 'default',
  type: 'release',
  strategies: [{ name: 'flexibleRollout', parameters: rollout, constraints: [] }],
};

const unleash = new Unleash({
  url: 'http://localhost/api',
  appName: 'bench',
  refreshInterval: 0,
  disableMetrics: false,
  metricsInterval: 0,
  storageProvider: new InMemStorageProvider(),
  bootstrap: { data: [flag] },
});
const provider = new UnleashProvider(unleash, { logger: false });
await provider.initialize();

let enabled = 0;

async function measure(
  title: string,
  raw: readonly Context[],
  contexts: readonly EvaluationContext[],
): Promise<void> {
  const isEnabled = async (context: Context): Promise<boolean> => unleash.isEnabled(FLAG, context);
  const measurements = await compare([
    {
      name: 'unleash.isEnabled, awaited',
      async run(iterations) {
        for (let i = 0; i < iterations; i++) {
          if (await isEnabled(raw[i & 1_023]!)) enabled++;
        }
      },
    },
    {
      name: 'resolveBooleanEvaluation',
      async run(iterations) {
        for (let i = 0; i < iterations; i++) {
          if ((await provider.resolveBooleanEvaluation(FLAG, false, contexts[i & 1_023]!)).value) enabled++;
        }
      },
    },
  ]);
  printComparison(title, measurements, { resolveBooleanEvaluation: { ratio: 1.05 } });
}

await measure(
  '50 % rollout, 1 attribute',
  USERS.map((userId) => ({ userId })),
  USERS.map((targetingKey) => ({ targetingKey })),
);
await measure(
  '50 % rollout, 6 attributes',
  USERS.map((userId) => ({ userId, properties: { ...ATTRIBUTES } })),
  USERS.map((targetingKey) => ({ targetingKey, ...ATTRIBUTES })),
);
unleash.destroy();
if (enabled === 0) throw new Error('The flag was never on: nothing was measured');
