import {
  BadGatewayException,
  BadRequestException,
  type BeforeApplicationShutdown,
  Injectable,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { OpenFeature } from '@openfeature/server-sdk';
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
  appName: 'search-backend-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
});

const guard = new RolloutGuard({
  flagKey: 'search-backend',
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

async function ask(version: 'v1' | 'v2', query: string, signal: AbortSignal): Promise<unknown> {
  const backend = process.env.SEARCH_URL ?? 'http://localhost:4000';
  const answer = await fetch(`${backend}/${version}?q=${encodeURIComponent(query)}`, { signal });
  if (answer.status === 400) throw new BadRequestException('The query cannot be read.');
  if (!answer.ok) throw new BadGatewayException(`The search backend answers ${answer.status}.`);
  return answer.json();
}

const search = guard.operation({
  treatment: (query: string, { signal }) => ask('v2', query, signal),
  control: (query: string, { signal }) => ask('v1', query, signal),
  // The user's own mistake is no failure of either path.
  classifyError: (error) => (error instanceof BadRequestException ? 'expected' : undefined),
  timeoutMs: 5_000,
});

@Injectable()
export class Rollout implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  // Without DASHBOARD_TOKEN, whoever reaches the service can read it.
  readonly dashboard = guard.dashboard({ token: process.env.DASHBOARD_TOKEN });

  get health() {
    return guard.health;
  }

  async onModuleInit() {
    OpenFeature.addHooks(new OutcomeHook(guard));
    // Without Unleash the service starts all the same, and users get the old path until the flags are there.
    await OpenFeature.setProviderAndWait(provider).catch(console.error);
    await guard.start();
  }

  search(user: string, query: string) {
    return search({ targetingKey: user }, query);
  }

  beforeApplicationShutdown() {
    this.dashboard.close();
  }

  // Requests that were under way have ended, and are counted.
  async onApplicationShutdown() {
    await guard.close();
    await OpenFeature.close();
  }
}
