// The configuration of `rollout-guard run --config controller.js`: the one process that may turn the flag off. Tokens and REDIS_URL come
// from the environment.
import { flagKey, rules } from './rules.js';

export default {
  flagKey,
  unleash: {
    url: process.env.UNLEASH_URL ?? 'https://unleash.example.com/api',
    environment: process.env.UNLEASH_ENVIRONMENT ?? 'production',
  },
  ...rules,
  // In a container HEALTH_HOST=0.0.0.0: else only the container itself can ask it.
  health: { port: Number(process.env.HEALTH_PORT ?? 8080), host: process.env.HEALTH_HOST ?? '127.0.0.1' },
};
