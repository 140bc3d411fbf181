// What the controller's container runs: rollout-guard run --config dist/controller.js
import { flagKey, rules } from './rules.js';

export default {
  flagKey,
  unleash: {
    url: process.env.UNLEASH_URL,
    environment: process.env.UNLEASH_ENVIRONMENT,
  },
  ...rules,
  // In an emptyDir: it outlives the container, not the pod. What must outlive the pod is in Redis.
  folder: 'logs',
  health: { port: Number(process.env.MANAGEMENT_PORT), host: '0.0.0.0' },
};
