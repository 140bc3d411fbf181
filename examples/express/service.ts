// A service on Express: for some users, /search asks the new backend.
import { OpenFeature } from '@openfeature/server-sdk';
import express from 'express';
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
  appName: 'new-search-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
});

const guard = new RolloutGuard({
  flagKey: 'new-search',
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

/** Express answers with the `status` of an error. */
const httpError = (status: number, message: string) => Object.assign(new Error(message), { status });

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
  classifyError: (error) => ((error as { status?: number }).status === 400 ? 'expected' : undefined),
  timeoutMs: 5_000,
});

const app = express();
// Without DASHBOARD_TOKEN, whoever reaches the service can read it.
const dashboard = guard.dashboard({ token: process.env.DASHBOARD_TOKEN });
app.use('/rollouts', dashboard);
// A blind guard is a reason for an alert, and none to restart a service that works.
app.get('/health', (_request, response) => {
  response.json({ status: 'ok', guard: guard.health });
});
app.get('/search', async (request, response) => {
  const user = request.get('x-user-id'); // Your sign-in knows it.
  if (user === undefined) throw httpError(401, 'Sign in first.');
  response.json(await search({ targetingKey: user }, String(request.query.q ?? '')));
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
