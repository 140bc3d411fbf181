import {
  type FlagMetadata,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import type { Flag } from './flag-facts.js';

/** Keeps a flag off in this process, whatever its state in Unleash. */
export interface LocalOverride {
  readonly why: string;
  /** What evaluations carry while Unleash has the flag in this state. */
  cached: { readonly flag: Flag | undefined; readonly metadata: FlagMetadata } | undefined;
}

/** What an evaluation of an overridden flag gives. */
export function overridden<T>(
  override: LocalOverride,
  flag: Flag | undefined,
  value: T,
): ResolutionDetails<T> {
  if (override.cached === undefined || override.cached.flag !== flag) {
    const metadata = { ...flag?.metadata, stoppedByGuard: true, stopReason: override.why };
    override.cached = { flag, metadata: Object.freeze(metadata) };
  }
  return { value, reason: StandardResolutionReasons.DISABLED, flagMetadata: override.cached.metadata };
}
