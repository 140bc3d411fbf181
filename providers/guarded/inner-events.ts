import {
  type EventDetails,
  type OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
} from '@openfeature/server-sdk';
import { messageOf } from '../../src/support/async/callbacks.js';

/** The events of a wrapped provider, which the guarded one passes on. */
export class InnerEvents {
  readonly #inner: Provider;
  readonly #forwarders: readonly (readonly [ProviderEvents, (details?: EventDetails) => void])[];
  readonly #onChange: () => void;
  #isForwarding = false;
  #problem: { readonly message: string; readonly since: number } | undefined;

  /** @param onChange - Called when the provider's flags have changed. Must not throw. */
  constructor(inner: Provider, events: OpenFeatureEventEmitter, onChange: () => void) {
    this.#inner = inner;
    this.#onChange = onChange;
    this.#forwarders = Object.values(ProviderEvents).map((type) => [
      type,
      (details?: EventDetails) => {
        this.#note(type, details);
        events.emit(type, details);
      },
    ]);
  }

  /** Why the provider does not follow Unleash now; undefined when it does, as far as it says. */
  get problem(): { readonly message: string; readonly since: number } | undefined {
    return this.#problem;
  }

  start(): void {
    if (this.#isForwarding) return;
    this.#isForwarding = true;
    for (const [type, forward] of this.#forwarders) this.#inner.events?.addHandler(type, forward);
  }

  /** Until the provider is initialized it does not follow Unleash, and neither when it cannot be. @throws what the call throws */
  async whileOpening(initialize: () => Promise<void> | undefined): Promise<void> {
    this.#fault('is not ready yet');
    try {
      await initialize();
      this.#problem = undefined;
    } catch (error) {
      this.#fault('cannot be initialized', messageOf(error));
      throw error;
    }
  }

  /** The provider has answered an evaluation: one without events shows only so that it works after all. */
  answered(): void {
    if (this.#problem !== undefined && this.#inner.events === undefined) this.#problem = undefined;
  }

  stop(): void {
    this.#isForwarding = false;
    this.#problem = undefined;
    for (const [type, forward] of this.#forwarders) this.#inner.events?.removeHandler(type, forward);
  }

  #note(type: ProviderEvents, details: EventDetails | undefined): void {
    switch (type) {
      case ProviderEvents.Ready:
        this.#problem = undefined;
        break;
      case ProviderEvents.Stale:
      case ProviderEvents.Error: {
        this.#fault(type === ProviderEvents.Stale ? 'is stale' : 'has failed', details?.message);
        break;
      }
      case ProviderEvents.ConfigurationChanged:
        this.#onChange();
    }
  }

  #fault(state: string, why = ''): void {
    const message = `The provider "${this.#inner.metadata.name}" ${state}. ${why}`.trim();
    this.#problem = { message, since: this.#problem?.since ?? Date.now() };
  }
}
