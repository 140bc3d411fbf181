/**
 * What the provider adds to unleash-client: each kind of flag, evaluated by both with the same contexts, of 1 and of 6 attributes.
 * Run with `npx tsx bench/provider.ts`.
 */
import type { EvaluationContext } from '@openfeature/server-sdk';
import { type Context, InMemStorageProvider, Unleash, type UnleashConfig } from 'unleash-client';
import { UnleashProvider } from '../providers/unleash/provider.js';
import { compare, printComparison } from './harness.js';

type Flag = NonNullable<NonNullable<UnleashConfig['bootstrap']>['data']>[number];
type Strategy = NonNullable<Flag['strategies']>[number];

/** As long as a UUID, as most targeting keys are: unleash-client hashes them. */
const USERS = Array.from(
  { length: 1_024 },
  (_, index) => `5f0c2b1e-8a4d-4c3b-9e57-${String(index).padStart(12, '0')}`,
);
const ATTRIBUTES = { plan: 'pro', country: 'DE', version: 42, device: 'ios', tenant: 'acme' };

const rollout = (percentage: number, constraints: Strategy['constraints'] = []): Strategy => ({
  name: 'flexibleRollout',
  parameters: { groupId: 'upload', rollout: String(percentage), stickiness: 'default' },
  constraints,
});
const isPro = {
  contextName: 'plan',
  operator: 'IN' as Strategy['constraints'][number]['operator'],
  values: ['pro', 'team'],
  inverted: false,
};
// As every flag of a server has.
const flag = (name: string, more: Partial<Flag>) =>
  ({ name, enabled: true, project: 'default', type: 'release', ...more }) as Flag;
const payload = (type: string, value: string) =>
  ['a', 'b'].map((name) => ({ name, weight: 500, stickiness: 'default', payload: { type, value } }) as never);

const unleash = new Unleash({
  url: 'http://localhost/api',
  appName: 'bench',
  refreshInterval: 0,
  disableMetrics: false,
  metricsInterval: 0,
  storageProvider: new InMemStorageProvider(),
  bootstrap: {
    data: [
      flag('half', { strategies: [rollout(50)] }),
      flag('off', { enabled: false, strategies: [rollout(50)] }),
      flag('full', { strategies: [rollout(100)] }),
      flag('pro', { strategies: [rollout(50, [isPro])] }),
      flag('text', { strategies: [rollout(100)], variants: payload('string', 'hello') }),
      flag('number', { strategies: [rollout(100)], variants: payload('number', '42') }),
      flag('object', { strategies: [rollout(100)], variants: payload('json', '{"size":10,"unit":"MB"}') }),
    ],
  },
});
const provider = new UnleashProvider(unleash, { logger: false });
await provider.initialize();

const few = {
  raw: USERS.map((userId): Context => ({ userId })),
  contexts: USERS.map((targetingKey): EvaluationContext => ({ targetingKey })),
};
const many = {
  raw: USERS.map((userId): Context => ({ userId, properties: { ...ATTRIBUTES } })),
  contexts: USERS.map((targetingKey): EvaluationContext => ({ targetingKey, ...ATTRIBUTES })),
};

let evaluated = 0;

async function measure(
  title: string,
  rawOf: (context: Context) => unknown,
  resolve: (context: EvaluationContext) => Promise<{ readonly value: unknown }>,
  { raw, contexts }: typeof few,
): Promise<void> {
  const once = async (context: Context) => rawOf(context);
  const measurements = await compare([
    {
      name: 'unleash-client, awaited',
      async run(iterations) {
        for (let i = 0; i < iterations; i++) if ((await once(raw[i & 1_023]!)) !== undefined) evaluated++;
      },
    },
    {
      name: 'the provider',
      async run(iterations) {
        for (let i = 0; i < iterations; i++) {
          if ((await resolve(contexts[i & 1_023]!)).value !== undefined) evaluated++;
        }
      },
    },
  ]);
  printComparison(title, measurements, { 'the provider': { ratio: 1.05 } });
}

const booleans: readonly (readonly [title: string, key: string, contexts: typeof few])[] = [
  ['50 %, 1 attribute', 'half', few],
  ['50 %, 6 attributes', 'half', many],
  ['Off', 'off', few],
  ['100 %', 'full', few],
  ['50 % of those who match a constraint, 6 attributes', 'pro', many],
];
for (const [title, key, contexts] of booleans) {
  await measure(
    `${title}: isEnabled and resolveBooleanEvaluation`,
    (context) => unleash.isEnabled(key, context),
    (context) => provider.resolveBooleanEvaluation(key, false, context),
    contexts,
  );
}
const variant = (key: string) => (context: Context) => unleash.getVariant(key, context);
const text = (context: EvaluationContext) => provider.resolveStringEvaluation('text', '', context);
const number = (context: EvaluationContext) => provider.resolveNumberEvaluation('number', 0, context);
const object = (context: EvaluationContext) => provider.resolveObjectEvaluation('object', {}, context);
await measure('A variant with a text: getVariant and resolveStringEvaluation', variant('text'), text, few);
await measure(
  'A variant with a number: getVariant and resolveNumberEvaluation',
  variant('number'),
  number,
  few,
);
await measure(
  'A variant with JSON: getVariant and JSON.parse, and resolveObjectEvaluation',
  (context) => JSON.parse(unleash.getVariant('object', context).payload?.value ?? '{}'),
  object,
  few,
);
unleash.destroy();
if (evaluated === 0) throw new Error('Nothing was measured');
