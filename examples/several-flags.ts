// Two flags in one process: one provider, hook and admin client, and a guard for each flag.
import { OpenFeature } from '@openfeature/server-sdk';
import {
  asyncUploadRollout,
  criticalErrors,
  errorRateAbove,
  guardFlags,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { file, type UploadFile, uploadBuffered, uploadStreaming, user } from './your-code.js';

const provider = new UnleashProvider({
  url: 'https://unleash.example.com/api',
  appName: 'upload-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN! },
});

const guarded = guardFlags({
  provider,
  unleash: {
    url: 'https://unleash.example.com/api',
    token: process.env.UNLEASH_ADMIN_TOKEN!,
    project: 'default',
    environment: 'production',
  },
  flags: {
    'async-upload': asyncUploadRollout,
    'new-search': { rollback: [errorRateAbove(0.02), criticalErrors()] },
  },
});

OpenFeature.addHooks(guarded.hook);
await OpenFeature.setProviderAndWait(provider);
await guarded.start();

const upload = guarded.get('async-upload').operation({
  treatment: (file: UploadFile, { signal }) => uploadStreaming(file, signal),
  control: (file: UploadFile, { signal }) => uploadBuffered(file, signal),
});
const search = guarded.get('new-search').operation({
  treatment: (text: string) => [`new: ${text}`],
  control: (text: string) => [`old: ${text}`],
});

await upload({ targetingKey: user.id }, file);
console.log(await search({ targetingKey: user.id }, 'hello'));
console.log(guarded.health.status);
await guarded.close();
await OpenFeature.close();
