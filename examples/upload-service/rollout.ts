import { OpenFeature } from '@openfeature/server-sdk';
import {
  asyncUploadRollout,
  type GuardedOperation,
  OutcomeHook,
  RolloutGuard,
  type RolloutGuardOptions,
  UnleashProvider,
  type UnleashProviderOptions,
} from 'unleash-rollout-guard';
import type { UnleashSettings } from './config.js';
import { isTooLargeForProvider } from './file-provider.js';
import { isUploadError } from './upload-error.js';
import type { UploadFile, UploadPath, UploadResult } from './upload-file.js';

/** The flag that chooses between the two upload paths. */
export const FLAG_KEY = 'async-upload';

/** What the rollout is built from. */
export interface UploadRolloutOptions {
  readonly unleash: UnleashSettings;
  /** The new path. */
  readonly streaming: UploadPath;
  /** The old path. */
  readonly buffered: UploadPath;
  /** More for the provider, for example its refresh interval. */
  readonly provider?: Partial<UnleashProviderOptions> | undefined;
  /** Overrides of the preset, for example its folder. */
  readonly guard?: Partial<RolloutGuardOptions> | undefined;
}

/** A guarded rollout that is under way. */
export interface UploadRollout {
  readonly guard: RolloutGuard;
  /** Brings a file to the provider by the path that the flag chooses for this user. */
  readonly upload: GuardedOperation<UploadFile, UploadResult>;
  /** Ends the guard and the provider: outcomes and usage metrics are flushed. */
  close(): Promise<void>;
}

/** Connects to Unleash and begins to guard the flag. */
export async function startUploadRollout(options: UploadRolloutOptions): Promise<UploadRollout> {
  const { unleash, streaming, buffered } = options;
  const provider = new UnleashProvider({
    url: unleash.UNLEASH_URL,
    appName: 'upload-service',
    customHeaders: { Authorization: unleash.UNLEASH_CLIENT_TOKEN },
    ...options.provider,
  });
  const guard = new RolloutGuard({
    flagKey: FLAG_KEY,
    flags: provider,
    unleash: {
      url: unleash.UNLEASH_URL,
      token: unleash.UNLEASH_ADMIN_TOKEN,
      project: unleash.UNLEASH_PROJECT,
      environment: unleash.UNLEASH_ENVIRONMENT,
    },
    ...asyncUploadRollout,
    ...options.guard,
  });
  OpenFeature.addHooks(new OutcomeHook(guard));
  await OpenFeature.setProviderAndWait(provider);
  await guard.start();

  return {
    guard,
    upload: guardedUpload(guard, streaming, buffered),
    async close() {
      await guard.close();
      await OpenFeature.close();
    },
  };
}

/** Both upload paths as one function that the guard watches. */
export function guardedUpload(
  guard: RolloutGuard,
  streaming: UploadPath,
  buffered: UploadPath,
): GuardedOperation<UploadFile, UploadResult> {
  return guard.operation({
    treatment: (file: UploadFile, { signal }) => streaming.upload(file, signal),
    control: (file: UploadFile, { signal }) => buffered.upload(file, signal),
    // A file that is missing, too large or never arrives whole is the fault of neither path.
    classifyError: (error) => (isUploadError(error) || isTooLargeForProvider(error) ? 'expected' : undefined),
    // The first three have columns of their own in the outcome log.
    attributes: (file, { requestId }) => ({
      file_size_mb: file.receivedBytes / 2 ** 20,
      provider: streaming.provider,
      request_id: String(requestId),
      contentType: file.contentType.slice(0, 100),
    }),
  });
}
