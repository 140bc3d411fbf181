import { createRequire } from 'node:module';

/**
 * Loads a package only where it is needed: one that takes long to load, or need not be installed. With a literal name, so that the
 * build makes it a plain `require`, which bundlers and Jest follow.
 *
 * @throws an error with the code `MODULE_NOT_FOUND`.
 */
export function requirePackage(name: string): unknown {
  // Not before it is called: the build's CommonJS within a bundle of ES modules does not know its own file.
  return createRequire(import.meta.url)(name);
}
