import type { FlagSource, TrackedEvent, Unsubscribe } from '../../model/flags.js';

/** `client.track('<flag>.complaint', …)`. */
const COMPLAINT = '.complaint';

/** What a guard learns of its flag. */
export interface FlagListener {
  readonly onChange: () => void;
  readonly onTrack: (event: TrackedEvent) => void;
  /** Events of the application's own that its metrics are made of. @default none */
  readonly metricEvents?: ReadonlySet<string> | undefined;
}

/** Passes each event of the provider to the guards of its flag, however many guards there are. */
export class FlagEvents {
  readonly #flags: Pick<FlagSource, 'onChange' | 'onTrack'>;
  readonly #listeners = new Map<string, Set<FlagListener>>();
  readonly #byMetricEvent = new Map<string, Set<FlagListener>>();
  #subscriptions: readonly Unsubscribe[] = [];

  constructor(flags: Pick<FlagSource, 'onChange' | 'onTrack'>) {
    this.#flags = flags;
  }

  /** The listener must not throw. */
  listen(flagKey: string, listener: FlagListener): Unsubscribe {
    if (this.#listeners.size === 0) {
      this.#subscriptions = [
        this.#flags.onChange((key) => this.#each(key, ({ onChange }) => onChange())),
        this.#flags.onTrack((event) => this.#onTrack(event)),
      ];
    }
    const listeners = this.#listeners.get(flagKey) ?? new Set();
    this.#listeners.set(flagKey, listeners.add(listener));
    for (const name of listener.metricEvents ?? []) {
      this.#byMetricEvent.set(name, (this.#byMetricEvent.get(name) ?? new Set()).add(listener));
    }
    return () => {
      for (const name of listener.metricEvents ?? []) this.#byMetricEvent.get(name)?.delete(listener);
      if (!listeners.delete(listener) || listeners.size > 0) return;
      this.#listeners.delete(flagKey);
      if (this.#listeners.size > 0) return;
      for (const unsubscribe of this.#subscriptions) unsubscribe();
      this.#subscriptions = [];
    };
  }

  #onTrack(event: TrackedEvent): void {
    const { name } = event;
    // Each once, whatever it wants the event for.
    const listeners = new Set([
      ...(this.#listeners.get(name) ?? []),
      ...(this.#byMetricEvent.get(name) ?? []),
    ]);
    // Another flag may have a key that ends so.
    if (name.endsWith(COMPLAINT))
      for (const each of this.#listeners.get(name.slice(0, -COMPLAINT.length)) ?? []) listeners.add(each);
    for (const { onTrack } of listeners) onTrack(event);
  }

  #each(flagKey: string, call: (listener: FlagListener) => void): void {
    for (const listener of this.#listeners.get(flagKey) ?? []) call(listener);
  }
}
