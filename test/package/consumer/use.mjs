import { createServer } from 'node:http';
import { OpenFeature } from '@openfeature/server-sdk';
import { OutcomeHook, RolloutGuard, successRateBelow, UnleashProvider } from 'unleash-rollout-guard';

// Just enough of an Unleash to answer; the promises are proven against a real one elsewhere.
let enabled = true;
const server = createServer((request, response) => {
  if (request.url.endsWith('/off')) enabled = false;
  const strategies = [{ name: 'default', parameters: {}, constraints: [] }];
  const body = request.url.startsWith('/api/client/features')
    ? { version: 2, features: [{ name: 'async-upload', project: 'default', enabled, strategies }] }
    : request.url.startsWith('/api/admin/events')
      ? { events: [] }
      : {
          name: 'async-upload',
          project: 'default',
          type: 'release',
          environments: [{ name: 'production', enabled, strategies: [] }],
        };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}/api`;

const provider = new UnleashProvider({
  url,
  appName: 'consumer',
  customHeaders: { Authorization: 'x' },
  disableMetrics: true,
});
const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags: provider,
  unleash: { url, token: '*:*.made-up', environment: 'production' },
  rollback: [successRateBelow(0.95, { minOutcomes: 5 })],
  folder: false,
  logger: false,
});
OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider);
await guard.start();

const stopped = new Promise((resolve) => guard.onEvent(({ type }) => type === 'stopped' && resolve()));
const work = guard.operation({
  treatment: () => Promise.reject(new Error('broken')),
  control: () => 'served',
  retries: 0,
});
for (let user = 0; user < 5; user++) await work({ targetingKey: `user-${user}` });
await stopped;
console.log(guard.state.status);
await guard.close();
await OpenFeature.close();
server.closeAllConnections();
server.close();
