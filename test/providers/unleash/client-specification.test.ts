import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Client, type EvaluationContext, OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider, type UnleashConfig } from 'unleash-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnleashProvider } from '../../../providers/unleash/provider.js';
import { type LoopbackUnleash, startLoopbackUnleash } from './loopback-unleash.js';

/** https://github.com/Unleash/client-specification: what every Unleash SDK must answer. */
interface Specification {
  readonly name: string;
  readonly state: object;
  readonly tests?: readonly SpecificationCase<boolean>[];
  readonly variantTests?: readonly SpecificationCase<ExpectedVariant>[];
}

interface SpecificationCase<Expected> {
  readonly description: string;
  readonly context: SpecificationContext;
  readonly toggleName: string;
  readonly expectedResult: Expected;
}

interface SpecificationContext {
  readonly userId?: string;
  readonly properties?: EvaluationContext;
  readonly [field: string]: string | EvaluationContext | undefined;
}

interface ExpectedVariant {
  readonly name: string;
  readonly enabled: boolean;
  readonly feature_enabled: boolean;
  readonly payload?: { readonly type: 'string' | 'number'; readonly value: string };
}

const { resolve } = createRequire(import.meta.url);
const read = (file: string) =>
  JSON.parse(readFileSync(resolve(`@unleash/client-specification/specifications/${file}`), 'utf8'));
const specifications: readonly Specification[] = read('index.json').map(read);

/** The two ways of writing a context: as any OpenFeature caller would, and in Unleash's own words. */
const forms: readonly (readonly [string, (context: SpecificationContext) => EvaluationContext])[] = [
  [
    'an OpenFeature context',
    ({ userId, properties, ...fields }) =>
      ({
        ...properties,
        ...fields,
        ...(userId !== undefined && { targetingKey: userId }),
      }) as EvaluationContext,
  ],
  ['an Unleash context', (context) => context as EvaluationContext],
];

it('reads every specification', () => {
  const count = (cases?: readonly unknown[]) => cases?.length ?? 0;
  const total = specifications.reduce(
    (sum, { tests, variantTests }) => sum + count(tests) + count(variantTests),
    0,
  );
  expect(total).toBeGreaterThanOrEqual(279);
});

describe.each(specifications.map((specification) => [specification.name, specification] as const))(
  'client specification %s',
  (_, specification) => {
    let unleash: LoopbackUnleash;
    let provider: UnleashProvider;
    const domain = randomUUID();
    const client: Client = OpenFeature.getClient(domain);
    const cases = specification.tests ?? [];
    const variantCases = specification.variantTests ?? [];
    /** What the very first evaluations after `setProviderAndWait` answered. */
    let first: {
      readonly booleans: readonly boolean[];
      readonly variants: readonly Awaited<ReturnType<typeof variantOf>>[];
    };

    beforeAll(async () => {
      unleash = await startLoopbackUnleash(specification.state);
      provider = new UnleashProvider(configOf(specification, unleash.url));
      await OpenFeature.setProviderAndWait(domain, provider);
      // Nothing is awaited in between: all of these start in the very turn in which the provider became ready.
      const [, toContext] = forms[0]!;
      const booleans = cases.map(({ toggleName, context }) =>
        client.getBooleanValue(toggleName, false, toContext(context)),
      );
      const variants = variantCases.map((variantCase) => variantOf(client, variantCase, toContext));
      first = { booleans: await Promise.all(booleans), variants: await Promise.all(variants) };
    });

    afterAll(async () => {
      await provider.onClose();
      await unleash[Symbol.asyncDispose]();
    });

    it.each(cases.map((item, index) => ({ ...item, index })))(
      '$description, at once',
      ({ index, expectedResult }) => {
        expect(first.booleans[index]).toBe(expectedResult);
      },
    );

    it.each(variantCases.map((item, index) => ({ ...item, index })))(
      '$description, at once',
      ({ index, expectedResult }) => {
        expect(first.variants[index]).toEqual(expectedOf(expectedResult));
      },
    );

    describe.each(forms)('given %s', (_form, toContext) => {
      it.each([...cases])('$description', async ({ toggleName, context, expectedResult }) => {
        expect(await client.getBooleanValue(toggleName, false, toContext(context))).toBe(expectedResult);
      });

      it.each([...variantCases])('$description', async (variantCase) => {
        expect(await variantOf(client, variantCase, toContext)).toEqual(
          expectedOf(variantCase.expectedResult),
        );
      });
    });
  },
);

function configOf(specification: Specification, url: string): UnleashConfig & { logger: false } {
  return {
    url,
    appName: specification.name,
    storageProvider: new InMemStorageProvider(),
    disableMetrics: true,
    skipInstanceCountWarning: true,
    experimentalMode: { type: 'polling', format: 'events' in specification.state ? 'delta' : 'full' },
    logger: false,
  };
}

const DEFAULTS = { string: 'the default', number: -1 } as const;

async function variantOf(
  client: Client,
  { toggleName, context, expectedResult }: SpecificationCase<ExpectedVariant>,
  toContext: (context: SpecificationContext) => EvaluationContext,
) {
  const evaluation = toContext(context);
  const [enabled, details] = await Promise.all([
    client.getBooleanValue(toggleName, false, evaluation),
    expectedResult.payload?.type === 'number'
      ? client.getNumberDetails(toggleName, DEFAULTS.number, evaluation)
      : client.getStringDetails(toggleName, DEFAULTS.string, evaluation),
  ]);
  return { enabled, variant: details.variant, value: details.value };
}

function expectedOf({ name, enabled, feature_enabled, payload }: ExpectedVariant) {
  const value = payload?.type === 'number' ? Number(payload.value) : payload?.value;
  return {
    enabled: feature_enabled,
    variant: enabled ? name : undefined,
    value: enabled ? value : DEFAULTS.string,
  };
}
