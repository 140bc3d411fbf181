import { FlagGuards } from '../src/guard/flag-guards.js';
import type { FlagGuardsOptions } from '../src/guard/several/flag-options.js';
import { OutcomeHook } from './outcome-hook.js';

/** {@link FlagGuards} with the hook that reports the evaluations of all their flags. */
export class GuardedFlags<FlagKey extends string = string> extends FlagGuards<FlagKey> {
  /** One hook for all: `OpenFeature.addHooks(guarded.hook)`. It finds the guard by the flag's key, however many there are. */
  readonly hook: OutcomeHook;

  /** @throws ConfigError that lists everything that is wrong, with its flag and field. */
  constructor(options: FlagGuardsOptions<FlagKey>) {
    super(options);
    this.hook = new OutcomeHook(Object.values(this.guards));
  }
}

/**
 * Guards the rollouts of several flags in one process: one provider, hook, admin client, set of notifiers, connection to the fleet and
 * folder for all, and a guard for each flag.
 *
 * @example
 * const guarded = guardFlags({
 *   provider,
 *   unleash: { url, token, environment: 'production' },
 *   flags: {
 *     'async-upload': asyncUploadRollout,
 *     'new-search': { rollback: [errorRateAbove(0.02), criticalErrors()] },
 *   },
 * });
 * OpenFeature.addHooks(guarded.hook);
 * await guarded.start();
 * const upload = guarded.get('async-upload').operation({ treatment, control });
 *
 * @throws ConfigError that lists everything that is wrong, with its flag and field.
 */
export function guardFlags<FlagKey extends string>(
  options: FlagGuardsOptions<FlagKey>,
): GuardedFlags<FlagKey> {
  return new GuardedFlags(options);
}
