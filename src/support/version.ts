import { createRequire } from 'node:module';

/** This package's version, as its package.json says. */
export const { version }: { readonly version: string } = createRequire(import.meta.url)(
  'unleash-rollout-guard/package.json',
);
