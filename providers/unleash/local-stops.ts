import {
  type FlagMetadata,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import type { Flag } from './flag-facts.js';

/** A flag that the guard has stopped in this process. */
export interface LocalStop {
  readonly why: string;
  /** Of which state of the flag `metadata` tells. */
  of: Flag | undefined;
  metadata: FlagMetadata;
}

/** The flags that are off in this process, whatever Unleash says. Empty almost always, so a look-up is all it costs. */
export class LocalStops {
  readonly #stops = new Map<string, LocalStop>();

  get(key: string): LocalStop | undefined {
    return this.#stops.get(key);
  }

  /** @returns whether the flag was not stopped before. */
  stop(key: string, why: string): boolean {
    const isNew = !this.#stops.has(key);
    this.#stops.set(key, { why, of: undefined, metadata: metadataOf(undefined, why) });
    return isNew;
  }

  /** @returns whether the flag was stopped before. */
  release(key: string): boolean {
    return this.#stops.delete(key);
  }
}

/**
 * What a stopped flag answers.
 *
 * @param flag - What Unleash says of it, if it has arrived; told in the metadata.
 */
export function stoppedDetails<T>(stop: LocalStop, flag: Flag | undefined, value: T): ResolutionDetails<T> {
  if (stop.of !== flag) {
    stop.of = flag;
    stop.metadata = metadataOf(flag, stop.why);
  }
  return { value, reason: StandardResolutionReasons.DISABLED, flagMetadata: stop.metadata };
}

function metadataOf(flag: Flag | undefined, why: string): FlagMetadata {
  return Object.freeze({ ...flag?.metadata, stoppedByGuard: true, stopReason: why });
}
