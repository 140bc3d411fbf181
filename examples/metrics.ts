// Metrics of your own: a rollout is stopped when checkouts fall, and reviewed when carts shrink or pages get more errors.
import { OpenFeature } from '@openfeature/server-sdk';
import {
  criticalErrors,
  failureRegression,
  metric,
  OutcomeHook,
  RolloutGuard,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { user } from './your-code.js';

const provider = new UnleashProvider({
  url: 'https://unleash.example.com/api',
  appName: 'shop',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN! },
});

const guard = new RolloutGuard({
  flagKey: 'new-search',
  flags: provider,
  unleash: {
    url: 'https://unleash.example.com/api',
    token: process.env.UNLEASH_ADMIN_TOKEN!,
    environment: 'production',
  },
  rollback: [
    failureRegression(),
    criticalErrors(),
    metric('checkout-completed', { kind: 'conversion', direction: 'higher-is-better', minDifference: 0.01 }),
  ],
  review: [
    metric('cart-value', { kind: 'numeric', direction: 'higher-is-better', minDifference: 2 }),
    metric('page-error', { kind: 'ratio', per: 'page-view', direction: 'lower-is-better' }),
  ],
});

OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider);
await guard.start();

const client = OpenFeature.getClient();
const context = { targetingKey: user.id };

// The evaluation puts the user into an arm; what is tracked within 30 minutes belongs to it.
await client.getBooleanValue('new-search', false, context);
client.track('page-view', context);
client.track('cart-value', context, { value: 49.9 });
client.track('checkout-completed', context);

for (const { trigger, metric } of guard.status().snapshot.evidence ?? []) {
  if (metric !== undefined)
    console.log(`${trigger}: ${metric.tracked} tracked, ${metric.unattributed} of unknown users`);
}
await guard.close();
await OpenFeature.close();
