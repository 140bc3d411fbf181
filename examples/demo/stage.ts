import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InMemStorageProvider } from 'unleash-client';
import type { GuardEvent, RolloutGuard } from 'unleash-rollout-guard';
import { type EmbeddedUnleash, startEmbeddedUnleash } from 'unleash-rollout-guard/testing';
import { type LoopbackProvider, startLoopbackProvider } from '../upload-service/loopback-provider.js';
import { createProviderClient } from '../upload-service/provider-client.js';
import { FLAG_KEY, startUploadRollout } from '../upload-service/rollout.js';
import { createUploadService } from '../upload-service/service.js';
import { createBufferedUpload } from '../upload-service/upload-buffered.js';
import { createStreamingUpload } from '../upload-service/upload-streaming.js';

/** How often the demo's service polls Unleash. Production services use unleash-client's 15 seconds. */
export const REFRESH_INTERVAL_MS = 1_000;

/** How long the provider needs for a file beside its transfer. */
const PROVIDER_DELAY_MS = 3;

/** Everything that plays in the demo, all of it real and on this machine. */
export interface Stage {
  readonly unleash: EmbeddedUnleash;
  readonly provider: LoopbackProvider;
  readonly guard: RolloutGuard;
  /** Every event of the guard so far. */
  readonly events: readonly GuardEvent[];
  readonly serviceUrl: string;
  /** Where the service spools files. */
  readonly spoolDirectory: string;
  /** The guard's folder: journal, audit log and outcome log. */
  readonly guardFolder: string;
  close(): Promise<void>;
}

/** Starts Unleash, the file provider, and the upload service with its guard; the flag is on for 0 %. */
export async function setStage(onEvent: (event: GuardEvent) => void): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'rollout-guard-demo-'));
  const spoolDirectory = await mkdtemp(join(directory, 'spool-'));
  const guardFolder = join(directory, 'guard');
  const [unleash, provider] = await Promise.all([startEmbeddedUnleash(), startLoopbackProvider()]);
  provider.slowDown(PROVIDER_DELAY_MS);
  await unleash.createFlag(FLAG_KEY, { percentage: 0 });

  const client = createProviderClient('kimi', { baseUrl: provider.baseUrl('kimi'), apiKey: provider.apiKey });
  const streaming = createStreamingUpload(client);
  const buffered = createBufferedUpload(client);
  const events: GuardEvent[] = [];
  const rollout = await startUploadRollout({
    unleash: {
      UNLEASH_URL: unleash.apiUrl,
      UNLEASH_CLIENT_TOKEN: unleash.clientToken,
      UNLEASH_ADMIN_TOKEN: unleash.adminToken,
      UNLEASH_PROJECT: unleash.project,
      UNLEASH_ENVIRONMENT: unleash.environment,
    },
    streaming,
    buffered,
    // No backup of the flags on disk: the next demo's Unleash is another one.
    provider: { refreshInterval: REFRESH_INTERVAL_MS, storageProvider: new InMemStorageProvider() },
    guard: {
      folder: guardFolder,
      logger: false,
      onEvent: (event) => {
        events.push(event);
        onEvent(event);
      },
    },
  });
  const service = await createUploadService({
    upload: rollout.upload,
    rolloutStatus: () => rollout.guard.status(),
    maxFileBytes: 100 * 1024 * 1024,
    spoolDirectory,
  });
  await service.listen({ host: '127.0.0.1', port: 0 });
  const { port } = service.server.address() as AddressInfo;

  return {
    unleash,
    provider,
    guard: rollout.guard,
    events,
    serviceUrl: `http://127.0.0.1:${port}`,
    spoolDirectory,
    guardFolder,
    async close() {
      await service.close();
      await rollout.close();
      await Promise.all([streaming.close(), buffered.close(), provider.close(), unleash.stop()]);
      await rm(directory, { recursive: true });
    },
  };
}
