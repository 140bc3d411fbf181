import { createRequire } from 'node:module';

const manifest: { readonly version: string } = createRequire(import.meta.url)(
  'unleash-rollout-guard/package.json',
);

/** This package's version, from its package.json. */
export const version: string = manifest.version;
