import { UnleashAdminClient } from '../../unleash/admin-client.js';
import type { GuardInput } from '../decide/decide.js';
import type { ResolvedOptions } from '../options.js';
import type { GuardRecords } from '../records/guard-records.js';
import { AutoAdvance } from './auto-advance.js';
import { KillSwitch } from './kill-switch.js';

/** A guard's dealings with Unleash's admin API. */
export interface UnleashSide {
  readonly stop: KillSwitch;
  /** Undefined when a person moves the percentage. */
  readonly autoAdvance: AutoAdvance | undefined;
  /** Ends every request; resolves when they have ended. */
  close(): Promise<unknown>;
}

/** What a guard with an admin token asks of Unleash; undefined without one. */
export function unleashSide(
  options: ResolvedOptions,
  records: GuardRecords,
  onAnswer: (answer: GuardInput) => void,
): UnleashSide | undefined {
  const { flagKey, unleash, clock, fetch, recheckMs, stages, advance, dryRun } = options;
  const { token, reportUrl } = unleash;
  if (token === undefined) return undefined;
  const admin = new UnleashAdminClient({ ...unleash, token, fetch, clock });
  const stop = new KillSwitch({ flagKey, admin, clock, records, recheckMs, reportUrl, onAnswer });
  if (advance === 'manual' || dryRun) return { stop, autoAdvance: undefined, close: () => stop.close() };
  const autoAdvance = new AutoAdvance({ flagKey, admin, stages, records, clock, recheckMs });
  records.listen(({ type }) => {
    if (type === 'decided') autoAdvance.cancel();
  });
  return { stop, autoAdvance, close: () => Promise.all([stop.close(), autoAdvance.close()]) };
}
