import { InMemStorageProvider, type UnleashConfig } from 'unleash-client';
import { onTestFinished } from 'vitest';
import type { ProviderSettings } from '../../../providers/unleash/provider.js';
import { UnleashProvider } from '../../../providers/unleash/provider.js';

type Bootstrap = NonNullable<UnleashConfig['bootstrap']>;
type Feature = NonNullable<Bootstrap['data']>[number];
type Strategy = NonNullable<Feature['strategies']>[number];
export type Segment = NonNullable<Bootstrap['segments']>[number];
type Constraint = Strategy['constraints'][number];

/** A flag as tests write it: on, for everyone, unless said otherwise. */
export type TestFlag = Partial<Omit<Feature, 'strategies'>> & {
  readonly strategies?: readonly TestStrategy[];
};

export type TestStrategy = Omit<Partial<Strategy>, 'constraints'> & {
  readonly constraints?: readonly Constraint[];
};

export function flagOf(flag: TestFlag): Feature {
  return { name: 'upload', enabled: true, ...flag, strategies: (flag.strategies ?? []).map(strategyOf) };
}

function strategyOf(strategy: TestStrategy): Strategy {
  return { name: 'default', parameters: {}, ...strategy, constraints: [...(strategy.constraints ?? [])] };
}

export function percent(rollout: number, more: TestStrategy = {}): TestStrategy {
  const parameters = {
    rollout: String(rollout),
    stickiness: 'default',
    groupId: 'upload',
    ...more.parameters,
  };
  return { name: 'flexibleRollout', ...more, parameters };
}

export function is(contextName: string, ...values: string[]): Constraint {
  return { contextName, operator: 'IN' as Constraint['operator'], values, inverted: false };
}

/** A ready provider that has these flags and no server behind it. */
export async function providerWith(
  flags: readonly TestFlag[],
  { segments = [], ...settings }: ProviderSettings & { readonly segments?: Segment[] } = {},
): Promise<UnleashProvider> {
  const provider = new UnleashProvider({
    url: 'http://localhost/api',
    appName: 'shop',
    environment: 'production',
    refreshInterval: 0,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    bootstrap: { data: flags.map(flagOf), segments },
    logger: false,
    ...settings,
  });
  await provider.initialize();
  onTestFinished(() => provider.onClose());
  return provider;
}
