import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';

try {
  const store = new RedisOutcomeStore({ url: 'redis://127.0.0.1:1' });
  await store.link({ flagKey: 'async-upload', environment: 'production' }).open(() => {});
} catch (error) {
  console.log(error.message);
}
