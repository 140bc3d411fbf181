import {
  type FlagMetadata,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import type { Flag } from './flag-facts.js';

/** An override of a flag in this process. */
export interface LocalOverride {
  readonly why: string;
  /** The state of the flag that `metadata` describes. */
  of: Flag | undefined;
  metadata: FlagMetadata;
}

/** The flags that are off in this process, whatever Unleash says. Almost always empty, so the check is one look-up. */
export class LocalOverrides {
  readonly #overrides = new Map<string, LocalOverride>();

  get(key: string): LocalOverride | undefined {
    return this.#overrides.get(key);
  }

  /** @returns whether the flag had no override before. */
  override(key: string, why: string): boolean {
    const isNew = !this.#overrides.has(key);
    this.#overrides.set(key, { why, of: undefined, metadata: metadataOf(undefined, why) });
    return isNew;
  }

  /** @returns whether the flag had an override. */
  clearOverride(key: string): boolean {
    return this.#overrides.delete(key);
  }
}

/**
 * The evaluation of a flag with an override.
 *
 * @param flag - Unleash's own state of the flag, if it has arrived; it is part of the metadata.
 */
export function overriddenDetails<T>(
  override: LocalOverride,
  flag: Flag | undefined,
  value: T,
): ResolutionDetails<T> {
  if (override.of !== flag) {
    override.of = flag;
    override.metadata = metadataOf(flag, override.why);
  }
  return { value, reason: StandardResolutionReasons.DISABLED, flagMetadata: override.metadata };
}

function metadataOf(flag: Flag | undefined, why: string): FlagMetadata {
  return Object.freeze({ ...flag?.metadata, stoppedByGuard: true, stopReason: why });
}
