import { safeClock } from './guard-context.js';
import { GuardRun } from './guard-run.js';
import type { RolloutGuardOptions } from './options.js';
import { resolveOptions } from './resolve-options.js';
import { type FlagGuardsOptions, optionsPerFlag } from './several/flag-options.js';
import { type GuardResources, guardResources } from './several/guard-resources.js';
import { wire } from './wiring.js';

export { checkOperationOptions } from './resolve-options.js';

// What is only needed once there is a guard: the build has it in a file of its own, which is loaded with the first one.

/** The parts of a guard, and what runs them. @throws ConfigError that lists everything that is wrong with the options. */
export function assembleGuard(options: RolloutGuardOptions, shared?: GuardResources) {
  const parts = wire(resolveOptions(options), shared);
  return { parts, run: new GuardRun(parts) };
}

/** The options of each flag's guard, and what they share. @throws ConfigError that lists everything that is wrong. */
export function assembleFlags<FlagKey extends string>(options: FlagGuardsOptions<FlagKey>) {
  const flags = optionsPerFlag(options);
  const { resolved } = flags[0]!;
  // Each guard reports a clock that fails.
  const clock = safeClock(resolved.clock, () => {});
  return { flags, resources: guardResources({ ...resolved, clock }, true) };
}
