import { OpenFeature } from '@openfeature/server-sdk';
import {
  asyncUploadRollout,
  type GuardEvent,
  OutcomeHook,
  RolloutGuard,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { type EmbeddedUnleash, startEmbeddedUnleash } from 'unleash-rollout-guard/testing';

const provider = new UnleashProvider({ url: 'https://unleash.example.com/api', appName: 'typed' });
const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags: provider,
  unleash: { url: 'https://unleash.example.com/api', token: '*:*.made-up', environment: 'production' },
  ...asyncUploadRollout,
  onEvent: (event: GuardEvent) => event.at.toFixed(),
});
OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider);
const upload = guard.operation({
  treatment: async (bytes: Uint8Array, { signal }) => (signal.aborted ? 0 : bytes.length),
  control: async (bytes: Uint8Array) => bytes.length,
});
const length: number = await upload({ targetingKey: 'user' }, new Uint8Array(1));
// @ts-expect-error: the input is bytes
await upload({ targetingKey: 'user' }, 'text');
const start: () => Promise<EmbeddedUnleash> = startEmbeddedUnleash;

export { length, start };
