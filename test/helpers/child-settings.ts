import type { EmbeddedUnleash } from 'unleash-rollout-guard/testing';

/** What a test hands to a service in a process of its own. */
export const childSettings = JSON.parse(process.env.SETTINGS ?? '{}') as Pick<
  EmbeddedUnleash,
  'apiUrl' | 'clientToken' | 'adminToken'
> & { readonly flagKey: string; readonly folder: string };

/** As much of the embedded Unleash as a guarded service needs to reach it. */
export const reachableUnleash = {
  ...childSettings,
  project: 'default',
  environment: 'development',
} as unknown as EmbeddedUnleash;
