// A function as AWS Lambda runs it: invoked, frozen, thawed, and ended without notice. It keeps nothing on disk and has no admin token:
// what it records goes to Redis, and the controller evaluates it (controller.ts).
import { setTimeout as sleep } from 'node:timers/promises';
import { OpenFeature } from '@openfeature/server-sdk';
import { OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { flagKey, rules } from './rules.js';
import { jpegThumbnail, type ThumbnailEvent, webpThumbnail } from './thumbnail.js';

/** How old flags may be when an invocation begins, in milliseconds. */
const FLAGS_MAX_AGE_MS = Number(process.env.FLAGS_MAX_AGE_MS ?? 5_000);
/** How long an invocation waits for newer ones. */
const REFRESH_MS = 500;

const url = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';

const provider = new UnleashProvider({
  url,
  appName: 'thumbnails',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
  // Timers do not run while the function is frozen: it asks when it wakes up.
  refreshInterval: 600_000,
  // The platform ends a cold start that takes too long.
  initializationTimeoutMs: 2_000,
});

const guard = new RolloutGuard({
  flagKey,
  flags: provider,
  // Without a token it never leads, and never calls Unleash's admin API.
  unleash: { url, environment: process.env.UNLEASH_ENVIRONMENT ?? 'production' },
  ...rules,
  folder: false,
  store: new RedisOutcomeStore({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', timeoutMs: 1_000 }),
});

const thumbnail = guard.operation({
  treatment: async (event: ThumbnailEvent) => webpThumbnail(event),
  control: async (event: ThumbnailEvent) => jpegThumbnail(event),
  attributes: ({ widthPx }) => ({ width_px: widthPx }),
});

// The cold start. Without Unleash or Redis the function serves the control.
OpenFeature.addHooks(new OutcomeHook(guard));
const starts = await Promise.allSettled([OpenFeature.setProviderAndWait(provider), guard.start()]);
for (const start of starts) if (start.status === 'rejected') console.error(String(start.reason));
let askedAt = Date.now();

export async function handler(event: ThumbnailEvent): Promise<string> {
  await wakeUp();
  try {
    return await thumbnail({ targetingKey: event.userId }, event);
  } finally {
    // After the answer it may be frozen for good: nothing waits in memory.
    await guard.flush();
  }
}

/** Asks for the flags of now, if those known are old: the stop of another process has reached them. */
async function wakeUp(): Promise<void> {
  if (Date.now() - askedAt < FLAGS_MAX_AGE_MS) return;
  askedAt = Date.now();
  const refreshed = provider.refresh().catch((error) => console.error(`Flags: ${error.message}`));
  await Promise.race([refreshed, sleep(REFRESH_MS, undefined, { ref: false })]);
}
