// A service on Fastify: for some users, /search asks the new backend.
import { OpenFeature } from '@openfeature/server-sdk';
import Fastify from 'fastify';
import {
  criticalErrors,
  failureRegression,
  OutcomeHook,
  RolloutGuard,
  successRateBelow,
  UnleashProvider,
} from 'unleash-rollout-guard';

const url = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';

const provider = new UnleashProvider({
  url,
  appName: 'search-v2-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
});

const guard = new RolloutGuard({
  flagKey: 'search-v2',
  flags: provider,
  unleash: {
    url,
    token: process.env.UNLEASH_ADMIN_TOKEN ?? '',
    project: 'default',
    environment: process.env.UNLEASH_ENVIRONMENT ?? 'production',
  },
  // The flag is turned off when the new path is worse than the old one, or for one critical error.
  rollback: [failureRegression(), successRateBelow(0.95, { minOutcomes: 100 }), criticalErrors()],
});

OpenFeature.addHooks(new OutcomeHook(guard));
// Without Unleash the service starts all the same, and users get the old path until the flags are there.
await OpenFeature.setProviderAndWait(provider).catch(console.error);
await guard.start();

/** Fastify answers with the `statusCode` of an error. */
const httpError = (statusCode: number, message: string) => Object.assign(new Error(message), { statusCode });

async function ask(version: 'v1' | 'v2', query: string, signal: AbortSignal): Promise<unknown> {
  const backend = process.env.SEARCH_URL ?? 'http://localhost:4000';
  const answer = await fetch(`${backend}/${version}?q=${encodeURIComponent(query)}`, { signal });
  if (answer.status === 400) throw httpError(400, 'The query cannot be read.');
  if (!answer.ok) throw httpError(502, `The search backend answers ${answer.status}.`);
  return answer.json();
}

const search = guard.operation({
  treatment: (query: string, { signal }) => ask('v2', query, signal),
  control: (query: string, { signal }) => ask('v1', query, signal),
  // The user's own mistake is no failure of either path.
  classifyError: (error) => ((error as { statusCode?: number }).statusCode === 400 ? 'expected' : undefined),
  timeoutMs: 5_000,
});

const app = Fastify();
// Without DASHBOARD_TOKEN, whoever reaches the service can read it.
const dashboard = guard.dashboard({ baseUrl: '/rollouts', token: process.env.DASHBOARD_TOKEN });
for (const path of ['/rollouts', '/rollouts/*']) {
  app.all(path, (request, reply) => {
    reply.hijack();
    dashboard(Object.assign(request.raw, { body: request.body }), reply.raw);
  });
}
// A blind guard is a reason for an alert, and none to restart a service that works.
app.get('/health', async () => ({ status: 'ok', guard: guard.health }));
app.get<{ Querystring: { q?: string } }>('/search', async (request) => {
  const user = request.headers['x-user-id']; // Your sign-in knows it.
  if (typeof user !== 'string') throw httpError(401, 'Sign in first.');
  return search({ targetingKey: user }, request.query.q ?? '');
});

app.addHook('preClose', async () => {
  dashboard.close();
  // A connection that is kept alive would delay the end by its time-out.
  setInterval(() => app.server.closeIdleConnections(), 250).unref();
});
// Requests that were under way have ended, and are counted.
app.addHook('onClose', async () => {
  await guard.close();
  await OpenFeature.close();
});
process.once('SIGTERM', () => app.close());

const address = await app.listen({
  port: Number(process.env.PORT ?? 3000),
  host: process.env.HOST ?? '127.0.0.1',
});
console.log('Listening:', address);
