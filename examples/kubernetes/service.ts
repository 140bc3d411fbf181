// What the service's containers run: a search on PORT, and on MANAGEMENT_PORT what only the cluster asks for.
import { createServer } from 'node:http';
import { OpenFeature } from '@openfeature/server-sdk';
import { OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { flagKey, OPERATION_TIMEOUT_MS, rules } from './rules.js';
import { indexedSearch, scanningSearch } from './search.js';

const { UNLEASH_URL, UNLEASH_ENVIRONMENT, UNLEASH_CLIENT_TOKEN, REDIS_URL, PORT, MANAGEMENT_PORT } =
  process.env as Record<string, string>;

const provider = new UnleashProvider({
  url: UNLEASH_URL!,
  appName: 'search',
  customHeaders: { Authorization: UNLEASH_CLIENT_TOKEN! },
});
const guard = new RolloutGuard({
  flagKey,
  flags: provider,
  // The admin token is the controller's.
  unleash: { url: UNLEASH_URL!, environment: UNLEASH_ENVIRONMENT! },
  ...rules,
  operation: { timeoutMs: OPERATION_TIMEOUT_MS },
  store: new RedisOutcomeStore({ url: REDIS_URL! }),
});
const search = guard.operation({
  treatment: async (query: string) => indexedSearch(query),
  control: async (query: string) => scanningSearch(query),
});

let isReady = false;
const metrics = guard.metrics();
const management = createServer((request, response) => {
  if (request.url === '/metrics') metrics(request, response);
  // Alive without Unleash and Redis: a restart brings neither back, and users are served.
  else if (request.url === '/live') response.end('alive');
  else if (request.url === '/ready') response.writeHead(isReady ? 200 : 503).end();
  else response.writeHead(404).end();
}).listen(Number(MANAGEMENT_PORT));

const service = createServer(async (request, response) => {
  try {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    // A real service knows its users from their session.
    const targetingKey = searchParams.get('user') ?? '';
    const titles = await search({ targetingKey }, searchParams.get('q') ?? '');
    response.setHeader('content-type', 'application/json').end(JSON.stringify(titles));
  } catch {
    response.writeHead(500).end();
  }
});

OpenFeature.addHooks(new OutcomeHook(guard));
// Without Unleash it serves the control, and keeps trying.
await OpenFeature.setProviderAndWait(provider).catch((error) => console.error(String(error)));
await guard.start();
service.listen(Number(PORT), () => {
  isReady = true;
});

process.once('SIGTERM', () => {
  isReady = false;
  // A connection that is kept alive would delay the end by its time-out.
  setInterval(() => service.closeIdleConnections(), 250).unref();
  // Requests under way end first, and then the guard that counts them.
  service.close(async () => {
    await guard.close();
    await OpenFeature.close();
    management.close();
    management.closeAllConnections();
  });
});
