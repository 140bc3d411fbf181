import type { ProviderSettings } from './config.js';
import { createFallbackProvider } from './fallback-provider.js';
import type { FileProvider } from './file-provider.js';
import { createProviderClient } from './provider-client.js';

/** The provider, or the pair of providers, that the settings name. */
export function configuredProvider(
  settings: ProviderSettings,
  onFallback?: (error: unknown) => void,
): FileProvider {
  const first = createProviderClient(settings.FILE_API, {
    apiKey: settings.FILE_API_KEY,
    baseUrl: settings.FILE_API_URL,
    purpose: settings.FILE_API_PURPOSE,
  });
  const { FALLBACK_FILE_API, FALLBACK_FILE_API_KEY } = settings;
  if (FALLBACK_FILE_API === undefined || FALLBACK_FILE_API_KEY === undefined) return first;
  const second = createProviderClient(FALLBACK_FILE_API, {
    apiKey: FALLBACK_FILE_API_KEY,
    baseUrl: settings.FALLBACK_FILE_API_URL,
    purpose: settings.FALLBACK_FILE_API_PURPOSE,
  });
  return createFallbackProvider(first, second, { onFallback });
}
