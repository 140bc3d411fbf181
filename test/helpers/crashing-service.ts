// A guarded service that is killed at the moment when the guard turns to Unleash.
import { childSettings, reachableUnleash } from './child-settings.js';
import { startGuardedService } from './guarded-service.js';

const { flagKey, folder } = childSettings;
const service = await startGuardedService(reachableUnleash, flagKey, folder, {
  fetch: () => {
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  },
});
await service.serve(100, () => new Error('down'));
await new Promise(() => {});
