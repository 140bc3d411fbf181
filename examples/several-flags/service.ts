// Two flags in one service: one provider, hook and admin client, and a guard for each flag.
import { OpenFeature } from '@openfeature/server-sdk';
import express, { type Request } from 'express';
import { criticalErrors, failureRegression, guardFlags, UnleashProvider } from 'unleash-rollout-guard';

const url = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';

const provider = new UnleashProvider({
  url,
  appName: 'catalog-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
});

const guarded = guardFlags({
  provider,
  unleash: {
    url,
    token: process.env.UNLEASH_ADMIN_TOKEN ?? '',
    project: 'default',
    environment: process.env.UNLEASH_ENVIRONMENT ?? 'production',
  },
  flags: {
    'catalog-search': { rollback: [failureRegression(), criticalErrors()] },
    'catalog-prices': { rollback: [failureRegression()], operation: { timeoutMs: 2_000 } },
  },
});

OpenFeature.addHooks(guarded.hook);
// Without Unleash the service starts all the same, and users get the old path until the flags are there.
await OpenFeature.setProviderAndWait(provider).catch(console.error);
await guarded.start();

async function ask(path: string, signal: AbortSignal): Promise<unknown> {
  const backend = process.env.CATALOG_URL ?? 'http://localhost:4000';
  const answer = await fetch(`${backend}/${path}`, { signal });
  if (!answer.ok) {
    throw Object.assign(new Error(`The catalog answers ${answer.status}.`), { status: answer.status });
  }
  return answer.json();
}

const search = guarded.get('catalog-search').operation({
  treatment: (query: string, { signal }) => ask(`v2/search?q=${encodeURIComponent(query)}`, signal),
  control: (query: string, { signal }) => ask(`v1/search?q=${encodeURIComponent(query)}`, signal),
});
const prices = guarded.get('catalog-prices').operation({
  treatment: (article: string, { signal }) => ask(`v2/prices/${encodeURIComponent(article)}`, signal),
  control: (article: string, { signal }) => ask(`v1/prices/${encodeURIComponent(article)}`, signal),
});

/** Your sign-in knows the user. */
function userOf(request: Request): string {
  const user = request.get('x-user-id');
  if (user === undefined) throw Object.assign(new Error('Sign in first.'), { status: 401 });
  return user;
}

const app = express();
// Without DASHBOARD_TOKEN, whoever reaches the service can read it.
const dashboard = guarded.dashboard({ token: process.env.DASHBOARD_TOKEN });
app.use('/rollouts', dashboard);
app.get('/health', (_request, response) => {
  response.json({ status: 'ok', guards: guarded.health });
});
app.get('/search', async (request, response) => {
  response.json(await search({ targetingKey: userOf(request) }, String(request.query.q ?? '')));
});
app.get('/prices/:article', async (request, response) => {
  response.json(await prices({ targetingKey: userOf(request) }, request.params.article));
});

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1', (error) => {
  if (error) throw error;
  console.log('Listening:', server.address());
});

process.once('SIGTERM', async () => {
  dashboard.close();
  // A connection that is kept alive would delay the end by its time-out.
  setInterval(() => server.closeIdleConnections(), 250).unref();
  // Requests that are under way end first, and are counted.
  await new Promise((closed) => server.close(closed));
  await guarded.close();
  await OpenFeature.close();
});
