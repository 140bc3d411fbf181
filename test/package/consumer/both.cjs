// Both forms in one process: nothing exists twice, and a guard of one works with the provider and hook of the other.
const assert = require('node:assert/strict');
const { createServer } = require('node:http');
const { OpenFeature } = require('@openfeature/server-sdk');
const required = require('unleash-rollout-guard');

/** The files of this package that are loaded: of CommonJS, in which all code is. */
const filesLoaded = () => Object.keys(require.cache).filter((file) => file.includes('unleash-rollout-guard'));

async function main() {
  const imported = await import('unleash-rollout-guard');
  const names = Object.keys(imported).filter((name) => !['default', 'module.exports'].includes(name));
  assert.deepEqual(names.sort(), Object.keys(required).sort());
  for (const name of names) assert.equal(imported[name], required[name], name);
  const { name: own, exports: entries } = require('unleash-rollout-guard/package.json');
  // OpenTelemetry is not installed here.
  const others = Object.keys(entries).filter((entry) => !/^\.$|package\.json|opentelemetry/.test(entry));
  assert.ok(others.length >= 3);
  for (const entry of others) {
    const one = require(own + entry.slice(1));
    const other = await import(own + entry.slice(1));
    assert.ok(Object.keys(one).length > 0, entry);
    for (const name of Object.keys(one)) assert.equal(other[name], one[name], name);
  }

  let enabled = true;
  let alerts;
  const server = createServer((request, response) => {
    if (request.url === '/api/alerts') return alerts(request, response);
    if (request.url.endsWith('/off')) enabled = false;
    const flag = { name: 'both', project: 'default', enabled };
    const strategies = [{ name: 'default', parameters: {}, constraints: [] }];
    const environments = [{ name: 'production', enabled, strategies: [] }];
    const body = request.url.startsWith('/api/client/features')
      ? { version: 2, features: [{ ...flag, strategies }] }
      : request.url.startsWith('/api/admin/events')
        ? { events: [] }
        : { ...flag, type: 'release', environments };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/api`;
  const provider = new required.UnleashProvider({ url, appName: 'both', disableMetrics: true });
  const guard = new imported.RolloutGuard({
    flagKey: 'both',
    flags: provider,
    unleash: { url, token: '*:*.made-up', environment: 'production' },
    rollback: [required.successRateBelow(0.95, { minOutcomes: 5 })],
    folder: 'both-forms',
    logger: false,
  });
  alerts = guard.alerts({ token: 'made-up-made-up-made-up' });
  await new Promise(setImmediate);
  const loadedBefore = filesLoaded();
  OpenFeature.addHooks(new required.OutcomeHook(guard));
  await OpenFeature.setProviderAndWait(provider);
  await guard.start();
  const stopped = new Promise((resolve) => guard.onEvent(({ type }) => type === 'stopped' && resolve()));
  const work = guard.operation({
    treatment: () => Promise.reject(new Error('broken')),
    control: () => 'served',
    retries: 0,
  });
  for (let user = 0; user < 5; user++) assert.equal(await work({ targetingKey: `user-${user}` }), 'served');
  await stopped;
  const headers = { authorization: 'Bearer made-up-made-up-made-up' };
  const { status } = await fetch(`${url}/alerts`, { method: 'POST', headers, body: '{}' });
  assert.equal(status, 400);
  assert.deepEqual(filesLoaded(), loadedBefore, 'a guard loads all that it needs when it is made');
  console.log(guard.status().state.status);
  await guard.close();
  await OpenFeature.close();
  server.close();
  server.closeAllConnections();
}

main();
