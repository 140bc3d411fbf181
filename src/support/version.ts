import { createRequire } from 'node:module';

/** This package's version, from its package.json. */
export const { version }: { readonly version: string } = createRequire(import.meta.url)(
  'unleash-rollout-guard/package.json',
);
