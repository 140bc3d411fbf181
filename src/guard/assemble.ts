import { safeClock } from './guard-context.js';
import { GuardRun } from './guard-run.js';
import { TreatmentVariants } from './observe/treatment-variants.js';
import type { RolloutGuardOptions } from './options.js';
import { type ResolvedOptions, resolveOptions } from './resolve-options.js';
import { type FlagGuardsOptions, optionsPerFlag } from './several/flag-options.js';
import { type GuardResources, guardResources } from './several/guard-resources.js';
import { wire } from './wiring.js';

export { checkOperationOptions } from './resolve-options.js';

// What is only needed once there is a guard: the build has it in a file of its own, which is loaded with the first one.

/** The options of one guard, complete. @throws ConfigError that lists everything that is wrong with them. */
export function checkGuardOptions(options: RolloutGuardOptions): ResolvedOptions {
  return resolveOptions(options);
}

/** The parts of a guard, and what runs them. */
export function assembleGuard(options: ResolvedOptions, shared?: GuardResources) {
  const parts = wire(options, shared);
  const { flagKey, flags, records, treatmentVariants } = parts.context;
  const variants =
    treatmentVariants && new TreatmentVariants(treatmentVariants, flagKey, flags, records.fault);
  return { parts, run: new GuardRun(parts), variants };
}

/** The options of each flag's guard, and what they share. @throws ConfigError that lists everything that is wrong. */
export function assembleFlags<FlagKey extends string>(options: FlagGuardsOptions<FlagKey>) {
  const { flags, log } = optionsPerFlag(options);
  const first = flags[0]!;
  // Each guard reports a clock that fails.
  const clock = safeClock(first.clock, () => {});
  return { flags, log, resources: guardResources({ ...first, clock }, true) };
}
