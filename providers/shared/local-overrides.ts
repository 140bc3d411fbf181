import {
  type FlagMetadata,
  type OpenFeatureEventEmitter,
  ProviderEvents,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';

/** Keeps a flag off in this process, whatever its state in Unleash. */
interface LocalOverride {
  readonly why: string;
  /** What evaluations carry while the flag's definition has this metadata. */
  cached: { readonly facts: FlagMetadata | undefined; readonly metadata: FlagMetadata } | undefined;
}

/** The flags that guards keep off in this process. Almost always none: a check costs one look-up. */
export class LocalOverrides {
  readonly #events: OpenFeatureEventEmitter;
  readonly #metadataOf: (flagKey: string) => FlagMetadata | undefined;
  readonly #overrides = new Map<string, LocalOverride>();

  /**
   * @param events - Gets `CONFIGURATION_CHANGED` when an override begins and ends.
   * @param metadataOf - The metadata of a flag's definition, the same object until that changes.
   */
  constructor(events: OpenFeatureEventEmitter, metadataOf: (flagKey: string) => FlagMetadata | undefined) {
    this.#events = events;
    this.#metadataOf = metadataOf;
  }

  set(flagKey: string, why: string): void {
    const isNew = !this.#overrides.has(flagKey);
    this.#overrides.set(flagKey, { why, cached: undefined });
    if (isNew) this.#announce(flagKey, 'The guard stopped the flag in this process');
  }

  clear(flagKey: string): void {
    if (this.#overrides.delete(flagKey)) {
      this.#announce(flagKey, 'The guard cleared its override of the flag in this process');
    }
  }

  /** How many flags are off. */
  get size(): number {
    return this.#overrides.size;
  }

  has(flagKey: string): boolean {
    return this.#overrides.has(flagKey);
  }

  /**
   * What an evaluation of the flag gives: `false`, or the default value for another type. Undefined without an override.
   *
   * @param isBoolean - Whether a boolean is evaluated.
   */
  answer<T>(flagKey: string, defaultValue: T, isBoolean: boolean): ResolutionDetails<T> | undefined {
    const override = this.#overrides.get(flagKey);
    if (override === undefined) return undefined;
    const facts = this.#metadataOf(flagKey);
    if (override.cached === undefined || override.cached.facts !== facts) {
      const metadata = { ...facts, stoppedByGuard: true, stopReason: override.why };
      override.cached = { facts, metadata: Object.freeze(metadata) };
    }
    const details = {
      reason: StandardResolutionReasons.DISABLED,
      flagMetadata: override.cached.metadata,
    };
    return isBoolean
      ? { value: false as T, variant: 'off', ...details }
      : { value: defaultValue, ...details };
  }

  #announce(key: string, message: string): void {
    this.#events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [key], message });
  }
}
