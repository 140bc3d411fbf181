// What the quickstart assumes: two upload paths, a user and a file.
import { file, type UploadFile, uploadBuffered, uploadStreaming, user } from './your-code.js';

// From here on, word for word the quickstart of the README.

import { OpenFeature } from '@openfeature/server-sdk';
import { asyncUploadRollout, OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';

const provider = new UnleashProvider({
  url: 'https://unleash.example.com/api',
  appName: 'upload-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN! },
});

const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags: provider,
  unleash: {
    url: 'https://unleash.example.com/api',
    token: process.env.UNLEASH_ADMIN_TOKEN!,
    project: 'default',
    environment: 'production',
  },
  ...asyncUploadRollout, // rollback, review and stages; every number can be overridden
});

OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider);
await guard.start();

const upload = guard.operation({
  treatment: (file: UploadFile, { signal }) => uploadStreaming(file, signal),
  control: (file: UploadFile, { signal }) => uploadBuffered(file, signal),
});

await upload({ targetingKey: user.id }, file);
