// A rollout against a real Unleash of the row's version: provider, hook, operation, guard and admin API.
import assert from 'node:assert/strict';
import { OpenFeature } from '@openfeature/server-sdk';
import { errorRateAbove, OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';
import { startEmbeddedUnleash } from 'unleash-rollout-guard/testing';

const flagKey = 'matrix-upload';
const unleash = await startEmbeddedUnleash({ startTimeoutMs: 170_000 });
try {
  await unleash.createFlag(flagKey, { percentage: 100 });
  const provider = new UnleashProvider({
    url: unleash.apiUrl,
    appName: 'matrix',
    customHeaders: { Authorization: unleash.clientToken },
    refreshInterval: 500,
    storageProvider: { get: async () => undefined, set: async () => {} },
    logger: false,
  });
  const { environment, adminToken: token } = unleash;
  const guard = new RolloutGuard({
    flagKey,
    flags: provider,
    unleash: { url: unleash.apiUrl, token, environment },
    rollback: [errorRateAbove(0.5, { minOutcomes: 5 })],
    folder: false,
    logger: false,
  });
  OpenFeature.addHooks(new OutcomeHook(guard));
  await OpenFeature.setProviderAndWait(provider);
  await guard.start();
  while (provider.flag(flagKey)?.enabled !== true) await new Promise((resolve) => setTimeout(resolve, 100));
  const stopped = new Promise((resolve) => guard.onEvent(({ type }) => type === 'stopped' && resolve()));
  const upload = guard.operation({
    treatment: () => Promise.reject(new Error('broken')),
    control: () => 'stored',
    retries: 0,
  });
  for (let user = 0; user < 10; user++)
    assert.equal(await upload({ targetingKey: `user-${user}` }), 'stored');
  await stopped;
  const flag = await unleash.flag(flagKey);
  assert.equal(flag.enabled, false);
  const history = await unleash.history(flagKey);
  assert.ok(history.some(({ type }) => type === 'feature-environment-disabled'));
  await guard.close();
  await OpenFeature.close();
  console.log('stopped');
} finally {
  await unleash.stop();
}
