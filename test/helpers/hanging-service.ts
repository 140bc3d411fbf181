// A guard that has decided, while what it needs hangs. It closes on a message, and its process then ends by itself.
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { FakeFlags } from './fake-flags.js';

const { adminUrl, redisUrl, folder } = JSON.parse(process.env.SETTINGS ?? '{}') as {
  readonly adminUrl: string;
  readonly redisUrl: string;
  readonly folder: string;
};
const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags: new FakeFlags(),
  unleash: { url: adminUrl, token: '*:*.made-up', environment: 'production', timeoutMs: 60_000 },
  rollback: [successRateBelow(0.95, { minOutcomes: 20 })],
  store: new RedisOutcomeStore({ url: redisUrl, flushMs: 100 }),
  notify: [() => new Promise(() => {})],
  folder,
  logger: false,
});
await guard.start();
const upload = guard.operation<undefined, string>({
  treatment: () => Promise.reject(new Error('down')),
  control: () => 'old',
  retries: 0,
});
for (let user = 0; user < 40; user++) await upload({ targetingKey: `user-${user}` }, undefined);
const stopping = setInterval(() => {
  if (guard.state.status === 'armed') return;
  clearInterval(stopping);
  process.send?.('stopping');
}, 20);
process.once('message', async () => {
  await guard.close();
  process.send?.('closed', () => process.disconnect());
});
