// A rollout against a real Unleash of the row's version: provider, hook, operation, guard and admin API. Prints what that Unleash has
// to show where the rollout stands; what it lacks is no fault of the guard's.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { OpenFeature } from '@openfeature/server-sdk';
import { errorRateAbove, OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';
import { startEmbeddedUnleash } from 'unleash-rollout-guard/testing';

const flagKey = 'matrix-upload';
const unleash = await startEmbeddedUnleash({ startTimeoutMs: 170_000 });
const until = async (what, condition) => {
  const before = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < before, `not within a minute: ${what}`);
    await sleep(100);
  }
};
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
  const events = [];
  const guard = new RolloutGuard({
    flagKey,
    flags: provider,
    unleash: { url: unleash.apiUrl, token, environment },
    rollback: [errorRateAbove(0.5, { minOutcomes: 5 })],
    stages: [{ percentage: 100, minOutcomes: 10, minSuccessRate: 0.9 }],
    dashboardUrl: 'https://guard.example.com/',
    tickMs: 200,
    folder: false,
    logger: false,
    onEvent: (event) => events.push(event),
  });
  OpenFeature.addHooks(new OutcomeHook(guard));
  await OpenFeature.setProviderAndWait(provider);
  await guard.start();
  await until('the flag is on', () => provider.flag(flagKey)?.enabled);

  let isBroken = false;
  let treated = 0;
  const upload = guard.operation({
    treatment() {
      treated++;
      if (isBroken) throw new Error('broken');
      return 'new';
    },
    control: () => 'stored',
    retries: 0,
  });
  const serve = async (users, expected) => {
    for (let user = 0; user < users; user++)
      assert.equal(await upload({ targetingKey: `user-${user}` }), expected);
  };
  const tags = async () => (await unleash.flag(flagKey)).tags?.map(({ type, value }) => `${type}:${value}`);
  const lifecyclePath = `/api/admin/projects/default/features/${flagKey}/lifecycle`;
  const lifecycle = async () => (await unleash.request('GET', lifecyclePath)).at(-1)?.stage;
  const own = { url: 'https://wiki.example.com/runbook', title: 'Runbook' };
  const hasLinks = await unleash
    .request('POST', `/api/admin/projects/default/features/${flagKey}/link`, own)
    .then(
      () => true,
      () => false,
    );
  const hasLifecycle = await lifecycle().then(
    () => true,
    () => false,
  );

  await serve(20, 'new');
  await until('the last stage is met', () => events.some(({ type }) => type === 'completed'));
  await until('the tag of the stage', async () => (await tags()).includes('rollout-guard:stage:100'));
  if (hasLifecycle)
    await until('completed in the lifecycle', async () => (await lifecycle()) === 'completed');

  isBroken = true;
  await serve(60, 'stored');
  await until('stopped', () => events.some(({ type }) => type === 'stopped'));
  const flag = await unleash.flag(flagKey);
  assert.equal(flag.enabled, false);
  const history = await unleash.history(flagKey);
  assert.ok(history.some(({ type }) => type === 'feature-environment-disabled'));
  const before = treated;
  await serve(20, 'stored');
  assert.equal(treated, before);
  await until('the tag of the stop', async () => (await tags()).includes('rollout-guard:stopped'));
  if (hasLinks)
    await until('the link', async () =>
      (await unleash.flag(flagKey)).links.some(({ title }) => title.startsWith('rollout-guard: ')),
    );
  if (hasLifecycle) await until('no longer completed', async () => (await lifecycle()) !== 'completed');
  await guard.close();
  await OpenFeature.close();
  const unexpected = events.filter(({ type }) => /fault|unavailable|outage|health/.test(type));
  assert.deepEqual(unexpected, []);
  const shown = ['tags', ...(hasLinks ? ['links'] : []), ...(hasLifecycle ? ['lifecycle'] : [])];
  console.log(`stopped; ${shown.join(', ')}`);
} finally {
  await unleash.stop();
}
