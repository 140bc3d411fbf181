/**
 * The upload service. Its settings are in config.ts; with `--embedded` it brings its own Unleash and file provider:
 *
 *     npx tsx examples/upload-service/main.ts --embedded
 *     curl -F file=@README.md -H 'x-user-id: ada' http://127.0.0.1:3000/upload
 */
import { InMemStorageProvider } from 'unleash-client';
import { startEmbeddedUnleash } from 'unleash-rollout-guard/testing';
import {
  ConfigurationError,
  completeSettings,
  type ProviderSettings,
  type ServiceSettings,
  serviceSettings,
  type UnleashSettings,
} from './config.js';
import { configuredProvider } from './configured-provider.js';
import { interrupted } from './interrupted.js';
import { startLoopbackProvider } from './loopback-provider.js';
import { FLAG_KEY, startUploadRollout, type UploadRolloutOptions } from './rollout.js';
import { createUploadService } from './service.js';
import { createBufferedUpload } from './upload-buffered.js';
import { createStreamingUpload } from './upload-streaming.js';

/** What the service depends on. */
interface Surroundings {
  readonly unleash: UnleashSettings;
  readonly fileApi: ProviderSettings;
  /** How the rollout stores its state, where it differs from the defaults. */
  readonly storage?: Pick<UploadRolloutOptions, 'provider' | 'guard'>;
  close(): Promise<void>;
}

try {
  if (process.argv.includes('--embedded')) {
    await serve(serviceSettings(process.env), await embedded());
  } else {
    const settings = completeSettings(process.env);
    await serve(settings, { unleash: settings, fileApi: settings, close: async () => {} });
  }
} catch (error) {
  console.error(error instanceof ConfigurationError ? error.message : error);
  process.exitCode = 1;
}

/** Runs the service until Ctrl-C or `SIGTERM`. */
async function serve(settings: ServiceSettings, surroundings: Surroundings): Promise<void> {
  const { unleash, fileApi, storage, close } = surroundings;
  const provider = configuredProvider(fileApi, (error) =>
    console.warn(`The first file provider failed; the second is used: ${error}`),
  );
  const streaming = createStreamingUpload(provider, { connections: settings.PROVIDER_CONNECTIONS });
  const buffered = createBufferedUpload(provider);
  const rollout = await startUploadRollout({ unleash, streaming, buffered, ...storage });
  const service = await createUploadService({
    upload: rollout.upload,
    rolloutStatus: () => rollout.guard.status(),
    maxFileBytes: settings.MAX_FILE_BYTES,
    spoolDirectory: settings.SPOOL_DIRECTORY,
    importDirectory: settings.IMPORT_DIRECTORY,
    logger: true,
  });
  await service.listen({ host: settings.HOST, port: settings.PORT });

  await interrupted();
  // Uploads that are under way end first; what they recorded is written next.
  await service.close();
  await rollout.close();
  await Promise.all([streaming.close(), buffered.close()]);
  await close();
}

async function embedded(): Promise<Surroundings> {
  const [unleash, provider] = await Promise.all([startEmbeddedUnleash(), startLoopbackProvider()]);
  await unleash.createFlag(FLAG_KEY, { percentage: 10 });
  console.log(
    `Unleash: ${unleash.url} (log in as ${unleash.user.username}, password ${unleash.user.password})`,
  );
  console.log(`File provider: POST ${provider.controlUrl}/break and ${provider.controlUrl}/repair`);
  return {
    unleash: {
      UNLEASH_URL: unleash.apiUrl,
      UNLEASH_CLIENT_TOKEN: unleash.clientToken,
      UNLEASH_ADMIN_TOKEN: unleash.adminToken,
      UNLEASH_PROJECT: unleash.project,
      UNLEASH_ENVIRONMENT: unleash.environment,
    },
    fileApi: {
      FILE_API: 'kimi',
      FILE_API_KEY: provider.apiKey,
      FILE_API_URL: provider.baseUrl('kimi'),
      FALLBACK_FILE_API: 'glm',
      FALLBACK_FILE_API_KEY: provider.apiKey,
      FALLBACK_FILE_API_URL: provider.baseUrl('glm'),
    },
    // Nothing of an Unleash that is gone tomorrow: no backup of its flags, no journal.
    storage: { provider: { storageProvider: new InMemStorageProvider() }, guard: { folder: false } },
    close: async () => {
      await Promise.all([unleash.stop(), provider.close()]);
    },
  };
}
