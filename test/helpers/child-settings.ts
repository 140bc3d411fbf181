import type { ReachableUnleash } from './test-run.js';

/** What a test hands to a service in a process of its own. */
export const childSettings = JSON.parse(process.env.SETTINGS ?? '{}') as Pick<
  ReachableUnleash,
  'apiUrl' | 'clientToken' | 'adminToken'
> & { readonly flagKey: string; readonly folder: string };

export const reachableUnleash: ReachableUnleash = {
  ...childSettings,
  project: 'default',
  environment: 'development',
};
