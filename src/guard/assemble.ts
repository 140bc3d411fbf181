import type { GuardResources } from './context/guard-resources.js';
import { guardParts } from './guard-parts.js';
import { GuardRun } from './guard-run.js';
import type { ResolvedOptions } from './options/resolve-options.js';

export { checkOperationOptions, resolveOptions } from './options/resolve-options.js';
export { resolveFlags } from './several/flag-options.js';

// What is only needed once there is a guard: the build has it in a file of its own, which is loaded with the first one.

/** A guard that can be started. */
export function assembleGuard(options: ResolvedOptions, shared: GuardResources | undefined): GuardRun {
  return new GuardRun(guardParts(options, shared));
}
