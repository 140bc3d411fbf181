import { OpenFeature } from '@openfeature/server-sdk';
import {
  type GuardEvent,
  OutcomeHook,
  RolloutGuard,
  type RolloutGuardOptions,
  successRateBelow,
  UnleashProvider,
} from 'unleash-rollout-guard';
import type { ReachableUnleash } from './test-run.js';

/** A service with one guarded operation, on its own OpenFeature domain; the flag is on when it starts. */
export interface GuardedService {
  readonly guard: RolloutGuard;
  readonly events: readonly GuardEvent[];
  /** One request of each user; the listed ones find the new path broken. Returns what the users got. */
  serve(users: number, broken: (user: number) => Error | undefined): Promise<string[]>;
  /** Evaluations as any other code of the service makes them. */
  isOn(user: string): Promise<boolean>;
  close(): Promise<void>;
}

export async function startGuardedService(
  unleash: ReachableUnleash,
  flagKey: string,
  folder: string,
  options: Partial<RolloutGuardOptions> & { readonly token?: string; readonly adminUrl?: string } = {},
): Promise<GuardedService> {
  const { token, adminUrl, ...overrides } = options;
  const events: GuardEvent[] = [];
  const provider = new UnleashProvider({
    url: unleash.apiUrl,
    appName: 'guarded-service',
    customHeaders: { Authorization: unleash.clientToken },
    refreshInterval: 200,
    disableMetrics: true,
    storageProvider: { get: async () => undefined, set: async () => {} },
  });
  const client = OpenFeature.getClient(flagKey);
  const guard = new RolloutGuard({
    flagKey,
    flags: provider,
    client,
    unleash: {
      url: adminUrl ?? unleash.apiUrl,
      token: token ?? unleash.adminToken,
      project: unleash.project,
      environment: unleash.environment,
      // Many suites share the machine.
      timeoutMs: 20_000,
    },
    rollback: [successRateBelow(0.95, { minOutcomes: 100 })],
    folder,
    tickMs: 50,
    logger: false,
    onEvent: (event) => events.push(event),
    ...overrides,
  });
  client.addHooks(new OutcomeHook(guard));
  await OpenFeature.setProviderAndWait(flagKey, provider);
  // SDKs get a change up to a second after the admin API accepted it.
  await isEnabled(provider, flagKey);
  await guard.start();
  const request = guard.operation<Error | undefined, string>({
    treatment: async (error) => {
      if (error !== undefined) throw error;
      return 'new';
    },
    control: async () => 'old',
    retries: 0,
  });
  return {
    guard,
    events,
    serve: (users, broken) =>
      Promise.all(
        Array.from({ length: users }, (_, user) => request({ targetingKey: `user-${user}` }, broken(user))),
      ),
    isOn: (user) => client.getBooleanValue(flagKey, false, { targetingKey: user }),
    close: async () => {
      await guard.close();
      await provider.onClose();
    },
  };
}

/** Resolves as soon as the provider has the flag as enabled. */
function isEnabled(provider: UnleashProvider, flagKey: string): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (provider.flag(flagKey)?.enabled !== true) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = provider.onChange(check);
    check();
  });
}
