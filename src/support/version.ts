import { createRequire } from 'node:module';

const { version: packageVersion } = createRequire(import.meta.url)('unleash-rollout-guard/package.json') as {
  version: string;
};

/** This package's version, as its package.json says. */
export const version: string = packageVersion;
