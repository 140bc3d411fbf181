// The same flag, on for half of the users, in each provider, without network. Runs in the folder into which everything was installed.
import { channel } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What is CommonJS. */
const cjs = createRequire(import.meta.url);

export const FLAG = 'async-upload';

const unleashFlag = {
  name: FLAG,
  enabled: true,
  project: 'default',
  type: 'release',
  strategies: [
    {
      name: 'flexibleRollout',
      parameters: { groupId: FLAG, rollout: '50', stickiness: 'default' },
      constraints: [],
    },
  ],
};

export async function rawUnleash() {
  const { InMemStorageProvider, Unleash } = await import('unleash-client');
  return new Unleash({
    url: 'http://127.0.0.1:1/api',
    appName: 'bench-peers',
    refreshInterval: 0,
    metricsInterval: 0,
    disableMetrics: false,
    storageProvider: new InMemStorageProvider(),
    bootstrap: { data: [structuredClone(unleashFlag)] },
  });
}

/** By name: what is imported, and how the provider is made. */
export const PROVIDERS = {
  'no-op': {
    make: async () => ({
      metadata: { name: 'no-op' },
      resolveBooleanEvaluation: async (_key, value) => ({ value, reason: 'STATIC' }),
    }),
  },
  'in-memory (OpenFeature)': {
    make: async () => {
      const { InMemoryProvider } = await import('@openfeature/server-sdk');
      return new InMemoryProvider({
        [FLAG]: {
          variants: { on: true, off: false },
          defaultVariant: 'off',
          disabled: false,
          contextEvaluator: ({ targetingKey }) =>
            targetingKey.charCodeAt(targetingKey.length - 1) & 1 ? 'on' : 'off',
        },
      });
    },
  },
  'unleash-rollout-guard': {
    make: async () => {
      const { UnleashProvider } = await import('unleash-rollout-guard');
      return new UnleashProvider(await rawUnleash(), { logger: false });
    },
  },
  LaunchDarkly: {
    make: async () => {
      const ld = cjs('@launchdarkly/node-server-sdk');
      const integrations = cjs('@launchdarkly/node-server-sdk/integrations');
      const { LaunchDarklyProvider } = cjs('@launchdarkly/openfeature-node-server');
      const data = new integrations.TestData();
      data.usePreconfiguredFlag({
        key: FLAG,
        version: 1,
        on: true,
        offVariation: 1,
        variations: [true, false],
        salt: FLAG,
        fallthrough: {
          rollout: {
            variations: [
              { variation: 0, weight: 50_000 },
              { variation: 1, weight: 50_000 },
            ],
          },
        },
      });
      return new LaunchDarklyProvider('sdk-key', {
        updateProcessor: data.getFactory(),
        sendEvents: false,
        logger: ld.basicLogger({ level: 'none' }),
      });
    },
  },
  flagd: {
    make: async () => {
      const { FlagdProvider } = cjs('@openfeature/flagd-provider');
      writeFileSync(
        'flagd.json',
        JSON.stringify({
          flags: {
            [FLAG]: {
              state: 'ENABLED',
              variants: { on: true, off: false },
              defaultVariant: 'off',
              targeting: {
                fractional: [
                  ['on', 50],
                  ['off', 50],
                ],
              },
            },
          },
        }),
      );
      return new FlagdProvider({ resolverType: 'in-process', offlineFlagSourcePath: 'flagd.json' });
    },
  },
  // Overrides know no percentage.
  'ConfigCat (without a percentage)': {
    make: async () => {
      const { ConfigCatProvider } = cjs('@openfeature/config-cat-provider');
      const { createFlagOverridesFromMap, OverrideBehaviour, PollingMode, createConsoleLogger, LogLevel } =
        cjs('configcat-node');
      return ConfigCatProvider.create('local', PollingMode.ManualPoll, {
        flagOverrides: createFlagOverridesFromMap({ [FLAG]: true }, OverrideBehaviour.LocalOnly),
        logger: createConsoleLogger(LogLevel.Off),
      });
    },
  },
  Datadog: {
    make: async () => {
      const { DatadogNodeServerProvider } = cjs('@datadog/openfeature-node-server');
      const provider = new DatadogNodeServerProvider({ exposureChannel: channel('bench-exposures') });
      const shard = (start, end) => ({
        salt: FLAG,
        totalShards: 10_000,
        ranges: [{ start, end }],
      });
      provider.setConfiguration({
        createdAt: '2026-01-01T00:00:00.000Z',
        format: 'SERVER',
        environment: { name: 'bench' },
        flags: {
          [FLAG]: {
            key: FLAG,
            enabled: true,
            variationType: 'BOOLEAN',
            variations: { on: { key: 'on', value: true }, off: { key: 'off', value: false } },
            allocations: [
              {
                key: 'half',
                doLog: false,
                splits: [
                  { variationKey: 'on', shards: [shard(0, 5_000)] },
                  { variationKey: 'off', shards: [shard(5_000, 10_000)] },
                ],
              },
            ],
          },
        },
      });
      return provider;
    },
  },
  "Unleash's own": {
    make: async () => {
      const own = cjs('@unleash/openfeature-node-provider');
      const Provider = own.UnleashProvider ?? own.default;
      return new Provider(await rawUnleash());
    },
  },
};
