import { InMemStorageProvider } from 'unleash-client';
import { fetchOver } from '../../src/support/connection/connection.js';
import { UnleashProvider } from '../unleash/provider.js';
import { AdminRepository } from './admin-repository.js';
import type { ResolvedGuardedOptions } from './guarded-options.js';

/** Reads the definitions through the admin API. */
export function adminRepositoryOf(options: ResolvedGuardedOptions): AdminRepository {
  const { scope, http, ...rest } = options;
  const { project, environment } = scope;
  return new AdminRepository({
    ...rest,
    project: project!,
    environment: environment!,
    fetch: fetchOver({ http }),
  });
}

/** Evaluates Unleash's definitions, for what is known of a flag and of one context. */
export function factsProvider(
  { apiUrl, token, scope, refreshIntervalMs, timeoutMs, appName, http, logger }: ResolvedGuardedOptions,
  repository: AdminRepository | undefined,
): UnleashProvider {
  return new UnleashProvider({
    url: apiUrl,
    appName,
    ...(scope.environment !== undefined && { environment: scope.environment }),
    ...(repository === undefined ? { customHeaders: { Authorization: token } } : { repository }),
    refreshInterval: refreshIntervalMs,
    timeout: timeoutMs,
    maxDataAgeMs: 3 * refreshIntervalMs + timeoutMs,
    // The wrapped provider counts its evaluations itself, and starts from its own backup.
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
    skipInstanceCountWarning: true,
    http,
    logger,
  });
}
