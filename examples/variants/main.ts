// A flag with three variants, one of which is the old code path: two rankings are tried at the same time, against the plain one.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OpenFeature } from '@openfeature/server-sdk';
import {
  criticalErrors,
  failureRegression,
  OutcomeHook,
  RolloutGuard,
  successRateBelow,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { search } from './rankings.js';

const url = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';
const environment = process.env.UNLEASH_ENVIRONMENT ?? 'production';

const provider = new UnleashProvider({
  url,
  appName: 'search',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
  refreshInterval: Number(process.env.REFRESH_MS ?? 15_000),
});

const guard = new RolloutGuard({
  flagKey: 'search-ranking',
  flags: provider,
  // All others are the control: the variant "plain", and users whose flag is off.
  treatmentVariants: ['recent', 'popular'],
  unleash: { url, environment, token: process.env.UNLEASH_ADMIN_TOKEN },
  rollback: [successRateBelow(0.95, { minOutcomes: 50 }), failureRegression(), criticalErrors()],
});

OpenFeature.addHooks(new OutcomeHook(guard));
// Without Unleash the service starts all the same, and users get the old path until the flags are there.
await OpenFeature.setProviderAndWait(provider).catch(console.error);
await guard.start();

const rankedSearch = guard.operation({
  treatment: async (query: string, { variant = '' }) => search(query, variant),
  control: async (query: string) => search(query, 'plain'),
});

const server = createServer(async (request, response) => {
  try {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    // A real service knows its users from their session.
    const targetingKey = searchParams.get('user') ?? '';
    const found = await rankedSearch({ targetingKey }, searchParams.get('q') ?? '');
    response.setHeader('content-type', 'application/json').end(JSON.stringify(found));
  } catch {
    response.writeHead(500).end();
  }
}).listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '127.0.0.1', () => {
  console.log(`Search: http://127.0.0.1:${(server.address() as AddressInfo).port}/?user=ada&q=cook`);
});

process.once('SIGTERM', () => {
  // A connection that is kept alive would delay the end by its time-out.
  setInterval(() => server.closeIdleConnections(), 250).unref();
  server.close(async () => {
    await guard.close();
    await OpenFeature.close();
  });
});
