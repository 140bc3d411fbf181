import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import type { ArmCounts, RolloutGuard, RolloutGuardOptions } from 'unleash-rollout-guard';
import { expect } from 'vitest';
import {
  type ClientAnswer,
  type ClientFile,
  uploadTo,
  usersConnections,
} from '../../../../bench/uploads/upload-client.js';
import { filesHeld } from '../../../../examples/demo/files-held.js';
import { configuredProvider } from '../../../../examples/upload-service/configured-provider.js';
import {
  type LoopbackProvider,
  startLoopbackProvider,
} from '../../../../examples/upload-service/loopback-provider.js';
import { FLAG_KEY, startUploadRollout } from '../../../../examples/upload-service/rollout.js';
import { createUploadService } from '../../../../examples/upload-service/service.js';
import { createBufferedUpload } from '../../../../examples/upload-service/upload-buffered.js';
import { createStreamingUpload } from '../../../../examples/upload-service/upload-streaming.js';
import { eventually } from '../../../helpers/eventually.js';
import type { SharedUnleash } from '../../../helpers/test-run.js';
import { armCounts } from '../../../triggers/snapshots.js';

/** What may differ between worlds. */
export interface WorldOptions {
  /** `fallback`: Kimi first, then GLM. @default 'kimi' */
  readonly fileProvider?: 'kimi' | 'glm' | 'fallback';
  /** The rollout's percentage in Unleash. */
  readonly percentage: number;
  readonly appName?: string;
  readonly maxFileBytes?: number;
  readonly importDirectory?: string;
  readonly stallTimeoutMs?: number;
  readonly guard?: Partial<RolloutGuardOptions>;
}

/** The whole service over HTTP, on a real Unleash, in front of a loopback provider. */
export interface World {
  readonly url: string;
  readonly provider: LoopbackProvider;
  readonly guard: RolloutGuard;
  readonly spoolDirectory: string;
  upload(file: ClientFile, userId: string): Promise<ClientAnswer>;
  uploadPath(path: string, userId: string): Promise<ClientAnswer>;
  /** Moves the percentage as Unleash's UI does, and waits until the guard has begun a new epoch with it. */
  setPercentage(percentage: number): Promise<void>;
  spooledFiles(): Promise<string[]>;
  /** Ends the service first, then what it stands on: as main.ts does. */
  close(): Promise<void>;
}

/** Starts a world. The flag exists already. */
export async function startWorld(unleash: SharedUnleash, options: WorldOptions): Promise<World> {
  const flagKey = options.guard?.flagKey ?? FLAG_KEY;
  const { strategies } = await unleash.flag(flagKey);
  // A change takes a second.
  if (strategies[0]?.parameters.rollout !== String(options.percentage)) {
    await unleash.setPercentage(flagKey, options.percentage);
  }
  const { fileProvider = 'kimi' } = options;
  const provider = await startLoopbackProvider();
  const client = configuredProvider({
    FILE_API: fileProvider === 'glm' ? 'glm' : 'kimi',
    FILE_API_KEY: provider.apiKey,
    FILE_API_URL: provider.baseUrl(fileProvider === 'glm' ? 'glm' : 'kimi'),
    ...(fileProvider === 'fallback' && {
      FALLBACK_FILE_API: 'glm' as const,
      FALLBACK_FILE_API_KEY: provider.apiKey,
      FALLBACK_FILE_API_URL: provider.baseUrl('glm'),
    }),
  });
  const streaming = createStreamingUpload(client, { stallTimeoutMs: options.stallTimeoutMs });
  const buffered = createBufferedUpload(client);
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
    provider: {
      refreshInterval: 200,
      closeTimeoutMs: 20_000,
      storageProvider: new InMemStorageProvider(),
      appName: options.appName ?? 'upload-service',
    },
    guard: {
      folder: false,
      logger: false,
      random: () => 0, // Retries come at once.
      readMemoryBytes: () => 1, // Test, service and provider share this process: its memory says nothing.
      ...options.guard,
    },
  });
  const spoolDirectory = await mkdtemp(join(tmpdir(), 'uploads-end-to-end-'));
  const service = await createUploadService({
    upload: rollout.upload,
    rolloutStatus: () => rollout.guard.status(),
    maxFileBytes: options.maxFileBytes ?? 100 * 1024 * 1024,
    spoolDirectory,
    importDirectory: options.importDirectory,
  });
  // A thousand users connect before the first of them is accepted: what the system has no room for, it resets.
  await service.listen({ host: '127.0.0.1', port: 0, backlog: 2_048 });
  const url = `http://127.0.0.1:${(service.server.address() as AddressInfo).port}`;
  const connections = usersConnections();
  const world: World = {
    url,
    provider,
    guard: rollout.guard,
    spoolDirectory,
    upload: (file, userId) => uploadTo(url, file, userId, connections),
    async uploadPath(path, userId) {
      const response = await fetch(`${url}/upload-path`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-user-id': userId },
        body: JSON.stringify({ path }),
      });
      return { status: response.status, body: (await response.json()) as ClientAnswer['body'] };
    },
    async setPercentage(percentage) {
      await unleash.setPercentage(flagKey, percentage);
      await percentageArrived(rollout.guard, percentage);
    },
    spooledFiles: () => filesHeld(spoolDirectory),
    async close() {
      await service.close();
      await rollout.close();
      OpenFeature.clearHooks();
      await Promise.all([connections.destroy(), streaming.close(), buffered.close(), provider.close()]);
      await rm(spoolDirectory, { recursive: true });
    },
  };
  await percentageArrived(rollout.guard, options.percentage);
  return world;
}

/** SDKs get a change up to a second after the admin API accepted it, and a new flag's percentage before its "on". */
function percentageArrived(guard: RolloutGuard, rolloutPercentage: number): Promise<void> {
  return eventually(() => expect(guard.status().flag).toMatchObject({ enabled: true, rolloutPercentage }));
}

/** A file of these bytes. */
export function fileOf(name: string, contentType: string, content: Uint8Array | string): ClientFile {
  const bytes = Buffer.from(content);
  return { name, contentType, sizeBytes: bytes.length, chunks: () => [bytes] };
}

/** What each arm's counts grew by while `run` ran; outcomes are recorded before the user has the answer. */
export async function recordedDuring(
  world: World,
  run: () => Promise<unknown>,
): Promise<{ treatment: ArmCounts; control: ArmCounts }> {
  const before = world.guard.status().snapshot.total;
  await run();
  const after = world.guard.status().snapshot.total;
  const grown = (arm: 'treatment' | 'control') =>
    Object.fromEntries(
      Object.keys(NONE).map((key) => [
        key,
        after[arm][key as keyof ArmCounts] - before[arm][key as keyof ArmCounts],
      ]),
    ) as unknown as ArmCounts;
  return { treatment: grown('treatment'), control: grown('control') };
}

/** Counts of an arm on which nothing happened. */
export const NONE = armCounts();
