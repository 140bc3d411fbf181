// A guarded service that is killed at the moment when the guard is about to turn the flag off in Unleash.
import { childSettings, reachableUnleash } from './child-settings.js';
import { startGuardedService } from './guarded-service.js';

const { flagKey, folder } = childSettings;
const service = await startGuardedService(reachableUnleash, flagKey, folder, {
  fetch: (input, init) => {
    if (init?.method !== 'POST') return fetch(input, init);
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  },
});
await service.serve(100, () => new Error('down'));
await new Promise(() => {});
