import type { FlagClient, FlagFacts, FlagSource, TrackedEvent } from '../../src/model/flags.js';
import type { Evaluation } from '../../src/model/shapes.js';

/** A flag source in memory, for unit tests of what stands on it. */
export class FakeFlags implements FlagSource {
  facts: FlagFacts | undefined = {
    key: 'async-upload',
    enabled: true,
    rolloutPercentage: 10,
    strategy: 'flexibleRollout',
    project: 'default',
    type: 'release',
    revision: 'on 10',
  };
  readonly stops: string[] = [];
  /** How often the definition was read: a guard reads it on every tick. */
  reads = 0;
  #stopped: string | undefined;
  readonly #changeListeners = new Set<(key: string) => void>();
  readonly #trackListeners = new Set<(event: TrackedEvent) => void>();

  flag(): FlagFacts | undefined {
    this.reads++;
    return this.facts;
  }

  override(_key: string, why: string): void {
    this.#stopped = why;
    this.stops.push(why);
  }

  clearOverride(): void {
    this.#stopped = undefined;
  }

  isOverridden(): boolean {
    return this.#stopped !== undefined;
  }

  onChange(listener: (key: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onTrack(listener: (event: TrackedEvent) => void): () => void {
    this.#trackListeners.add(listener);
    return () => this.#trackListeners.delete(listener);
  }

  defaultClient(): FlagClient {
    return {
      getBooleanDetails: async (): Promise<Evaluation> => ({
        value: this.facts?.enabled === true && !this.isOverridden(),
        reason: this.isOverridden() ? 'DISABLED' : 'SPLIT',
      }),
    };
  }

  /** The definition arrives changed, as after a poll. */
  change(fields: Partial<FlagFacts>): void {
    this.facts = { ...this.facts!, ...fields };
    this.facts = {
      ...this.facts,
      revision: `${this.facts.enabled ? 'on' : 'off'} ${this.facts.rolloutPercentage}`,
    };
    for (const listener of this.#changeListeners) listener('async-upload');
  }

  track(event: Omit<TrackedEvent, 'name'> & { name?: string }): void {
    for (const listener of this.#trackListeners) listener({ name: 'async-upload', ...event });
  }

  get listenerCount(): number {
    return this.#changeListeners.size + this.#trackListeners.size;
  }
}
