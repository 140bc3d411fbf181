import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Client, type EvaluationContext, OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider, type UnleashConfig } from 'unleash-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { toUnleashContext } from '../../../providers/unleash/context.js';
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

/** The context as any OpenFeature caller would write it. */
function contextOf({ userId, properties, ...fields }: SpecificationContext): EvaluationContext {
  return {
    ...properties,
    ...fields,
    ...(userId !== undefined && { targetingKey: userId }),
  } as EvaluationContext;
}

it("gives Unleash the same context however it is written: OpenFeature's way or Unleash's own", () => {
  const dropped = vi.fn();
  const contexts = specifications.flatMap(({ tests = [], variantTests = [] }) =>
    [...tests, ...variantTests].map(({ context }) => context),
  );
  // A context without properties is one whose properties are empty.
  const translated = (context: EvaluationContext) => ({
    properties: {},
    ...toUnleashContext(context, dropped),
  });
  for (const context of contexts) {
    expect(translated(contextOf(context))).toEqual(translated(context as EvaluationContext));
  }
  expect(dropped).not.toHaveBeenCalled();
});

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
    const cases = (specification.tests ?? []).map((each, index) => ({ ...each, index }));
    const variantCases = (specification.variantTests ?? []).map((each, index) => ({ ...each, index }));
    /** The very first evaluations after `setProviderAndWait`. */
    let flags: readonly boolean[];
    let variants: readonly Awaited<ReturnType<typeof variantOf>>[];

    beforeAll(async () => {
      unleash = await startLoopbackUnleash(specification.state);
      provider = new UnleashProvider(configOf(specification, unleash.url));
      await OpenFeature.setProviderAndWait(domain, provider);
      // Nothing is awaited in between: all of these start in the very turn in which the provider became ready.
      const evaluated = [
        Promise.all(
          cases.map((each) => client.getBooleanValue(each.toggleName, false, contextOf(each.context))),
        ),
        Promise.all(variantCases.map((each) => variantOf(client, each))),
      ] as const;
      [flags, variants] = await Promise.all(evaluated);
    });

    afterAll(async () => {
      await provider.onClose();
      await unleash[Symbol.asyncDispose]();
    });

    it.each(cases)('$description', ({ index, expectedResult }) => {
      expect(flags[index]).toBe(expectedResult);
    });

    it.each(variantCases)('$description', ({ index, expectedResult }) => {
      expect(variants[index]).toEqual(expectedOf(expectedResult));
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

async function variantOf(client: Client, variantCase: SpecificationCase<ExpectedVariant>) {
  const { toggleName, expectedResult } = variantCase;
  const evaluation = contextOf(variantCase.context);
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
