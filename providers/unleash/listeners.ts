import type { Unsubscribe } from '../../src/model/flags.js';
import type { Logger } from '../../src/support/logger.js';

/** Listeners that are told of each event, and whose faults are logged and go no further. */
export class Listeners<Event> {
  readonly #listeners = new Set<{ readonly listener: (event: Event) => void }>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The same function may be added twice, and is then told twice. */
  add(listener: (event: Event) => void): Unsubscribe {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  notify(event: Event): void {
    for (const { listener } of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#logger.error({ error: String(error) }, 'A listener of the Unleash provider failed');
      }
    }
  }
}
