// The application of flags.ts, and the guard: everything that was there stays as it was.
import { OpenFeature } from '@openfeature/server-sdk';
import express, { type Request } from 'express';
import {
  criticalErrors,
  failureRegression,
  GuardedProvider,
  OutcomeHook,
  RolloutGuard,
} from 'unleash-rollout-guard';
import { appProvider, clientToken, unleashUrl } from './flags.js';

// 1. The application's provider is wrapped. The client token reads how Unleash rolls the flag out.
const provider = new GuardedProvider(appProvider, { unleash: { url: unleashUrl, token: clientToken } });

// 2. The guard of one flag.
const guard = new RolloutGuard({
  flagKey: 'shop-search',
  flags: provider,
  unleash: {
    url: unleashUrl,
    token: process.env.UNLEASH_ADMIN_TOKEN ?? '',
    project: 'default',
    environment: process.env.UNLEASH_ENVIRONMENT ?? 'production',
  },
  rollback: [failureRegression(), criticalErrors()],
});

// 3. One more hook. It sees all domains, and counts the evaluations of the wrapped provider only.
OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider).catch(console.error);
await guard.start();

async function ask(version: 'v1' | 'v2', query: string, signal?: AbortSignal): Promise<unknown> {
  const backend = process.env.SEARCH_URL ?? 'http://localhost:4000';
  const answer = await fetch(`${backend}/${version}?q=${encodeURIComponent(query)}`, {
    signal: signal ?? null,
  });
  if (!answer.ok) {
    throw Object.assign(new Error(`The search backend answers ${answer.status}.`), { status: answer.status });
  }
  return answer.json();
}

// 4. The code behind the flag. Before: `(await client.getBooleanValue('shop-search', false, context)) ? … : …`.
const search = guard.operation({
  treatment: (query: string, { signal }) => ask('v2', query, signal),
  control: (query: string, { signal }) => ask('v1', query, signal),
});

/** Your sign-in knows the user. */
function userOf(request: Request): string {
  const user = request.get('x-user-id');
  if (user === undefined) throw Object.assign(new Error('Sign in first.'), { status: 401 });
  return user;
}

const app = express();
// Without DASHBOARD_TOKEN, whoever reaches the service can read it.
const dashboard = guard.dashboard({ token: process.env.DASHBOARD_TOKEN });
app.use('/rollouts', dashboard);
app.get('/health', (_request, response) => {
  response.json({ status: 'ok', guard: guard.health });
});
app.get('/search', async (request, response) => {
  response.json(await search({ targetingKey: userOf(request) }, String(request.query.q ?? '')));
});
// As before, with the flags of its own domain: no guard stops them.
app.get('/staff/search', async (request, response) => {
  const isNew = await OpenFeature.getClient('staff').getBooleanValue('shop-search', false);
  response.json(await ask(isNew ? 'v2' : 'v1', String(request.query.q ?? '')));
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
  await guard.close();
  await OpenFeature.close();
});
