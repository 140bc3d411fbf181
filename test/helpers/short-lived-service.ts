// A guarded service that serves a few users, stops the flag, and ends as the README shows.
import { OpenFeature } from '@openfeature/server-sdk';
import { childSettings, reachableUnleash } from './child-settings.js';
import { startGuardedService } from './guarded-service.js';

const { flagKey, folder } = childSettings;
const { guard, serve } = await startGuardedService(reachableUnleash, flagKey, folder);
await serve(10, () => undefined);
await guard.close();
await OpenFeature.close();
console.log('closed');
