// Jest as it comes: CommonJS, no flag of Node.js, no transformation.
const { OpenFeature, InMemoryProvider } = require('@openfeature/server-sdk');
const {
  asyncUploadRollout,
  ConfigError,
  isConfigError,
  OutcomeHook,
  RolloutGuard,
  UnleashProvider,
  version,
} = require('unleash-rollout-guard');
const { RedisOutcomeStore } = require('unleash-rollout-guard/redis');
const { startEmbeddedUnleash } = require('unleash-rollout-guard/testing');

test('loads every entry point', () => {
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
  expect(typeof OutcomeHook).toBe('function');
  expect(typeof startEmbeddedUnleash).toBe('function');
  expect(asyncUploadRollout.rollback.length).toBeGreaterThan(3);
});

test('makes a guard, and lists what is wrong with one', async () => {
  const provider = new UnleashProvider({ url: 'http://127.0.0.1:1/api', appName: 'jest', logger: false });
  const options = { flagKey: 'jest', flags: provider, ...asyncUploadRollout, folder: false, logger: false };
  const unleash = { url: 'http://127.0.0.1:1/api', token: '*:*.made-up', environment: 'production' };
  const guard = new RolloutGuard({ ...options, unleash });
  expect(guard.status().state.status).toBe('armed');
  await guard.close();
  try {
    new RolloutGuard({ ...options, unleash: { ...unleash, url: 'nowhere' } });
  } catch (error) {
    expect(isConfigError(error)).toBe(true);
    expect(error).toBeInstanceOf(Error);
  }
  expect.assertions(3);
});

test('recognises errors also after modules were reset', () => {
  jest.resetModules();
  const flags = new UnleashProvider({ url: 'http://127.0.0.1:1/api', appName: 'jest', logger: false });
  expect(() => new RolloutGuard({ flagKey: 'jest', flags })).toThrow(ConfigError);
});

test('finds no Redis package and says so', async () => {
  const store = () => new RedisOutcomeStore({ url: 'redis://127.0.0.1:1' });
  expect(typeof store().link).toBe('function');
});

test('evaluates through the SDK that it shares with the test', async () => {
  await OpenFeature.setProviderAndWait(new InMemoryProvider({}));
  expect(await OpenFeature.getClient().getBooleanValue('missing', false)).toBe(false);
  await OpenFeature.close();
});
