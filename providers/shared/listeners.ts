import type { Unsubscribe } from '../../src/model/flags.js';
import { messageOf } from '../../src/support/async/callbacks.js';
import type { Logger } from '../../src/support/logger.js';

/** Listeners of one kind of event. A listener's fault reaches neither the caller nor other listeners. */
export class Listeners<Event> {
  readonly #logger: Logger;
  /** An object for each listener, so that the same function may be added twice. */
  readonly #entries = new Set<{ readonly listener: (event: Event) => void }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(listener: (event: Event) => void): Unsubscribe {
    const entry = { listener };
    this.#entries.add(entry);
    return () => {
      this.#entries.delete(entry);
    };
  }

  notify(event: Event): void {
    for (const { listener } of this.#entries) {
      try {
        listener(event);
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, 'A listener of the Unleash provider failed');
      }
    }
  }
}
