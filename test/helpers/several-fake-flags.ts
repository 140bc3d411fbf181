import type { FlagClient, FlagFacts, FlagSource, TrackedEvent, Unsubscribe } from '../../src/model/flags.js';
import type { Evaluation } from '../../src/model/shapes.js';

/** Many flags in memory, each at 10 %. */
export class SeveralFakeFlags implements FlagSource {
  readonly overrides = new Map<string, string>();
  readonly #facts = new Map<string, FlagFacts>();
  readonly #changeListeners = new Set<(key: string) => void>();
  readonly #trackListeners = new Set<(event: TrackedEvent) => void>();

  constructor(keys: readonly string[]) {
    for (const key of keys) this.set(key, 10);
  }

  set(key: string, rolloutPercentage: number): void {
    const enabled = rolloutPercentage > 0;
    this.#facts.set(key, {
      key,
      enabled,
      rolloutPercentage,
      strategy: 'flexibleRollout',
      project: 'default',
      type: 'release',
      revision: `${enabled} ${rolloutPercentage}`,
    });
    for (const listener of this.#changeListeners) listener(key);
  }

  flag(key: string): FlagFacts | undefined {
    return this.#facts.get(key);
  }

  override(key: string, why: string): void {
    this.overrides.set(key, why);
  }

  clearOverride(key: string): void {
    this.overrides.delete(key);
  }

  isOverridden(key: string): boolean {
    return this.overrides.has(key);
  }

  onChange(listener: (key: string) => void): Unsubscribe {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onTrack(listener: (event: TrackedEvent) => void): Unsubscribe {
    this.#trackListeners.add(listener);
    return () => this.#trackListeners.delete(listener);
  }

  get listeners(): readonly [changes: number, tracks: number] {
    return [this.#changeListeners.size, this.#trackListeners.size];
  }

  track(event: Omit<TrackedEvent, 'value'>): void {
    for (const listener of this.#trackListeners) listener({ ...event, value: undefined });
  }

  defaultClient(): FlagClient {
    return {
      getBooleanDetails: async (key): Promise<Evaluation> => ({
        value: this.#facts.get(key)?.enabled === true && !this.isOverridden(key),
        reason: this.isOverridden(key) ? 'DISABLED' : 'SPLIT',
      }),
    };
  }
}
