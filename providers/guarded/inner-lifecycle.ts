import { type EvaluationContext, OpenFeature, type Provider, ProviderStatus } from '@openfeature/server-sdk';
import { clientOf, registeredDomains } from '../shared/registered-domains.js';

/** Before version 1.23 the SDK's type has no domain. */
type Initialize = (context?: EvaluationContext, domain?: string) => Promise<void>;

const STARTED: readonly ProviderStatus[] = [ProviderStatus.READY, ProviderStatus.STALE];

/**
 * The start and the end of a wrapped provider. As OpenFeature does with one in several domains, it is initialized once and closed with its
 * last use: by guarded providers around it, and by a registration of its own, with which OpenFeature closes it.
 */
export class InnerLifecycle {
  static readonly #all = new WeakMap<Provider, InnerLifecycle>();

  /** That of a provider, for all that wrap it. */
  static of(inner: Provider): InnerLifecycle {
    const lifecycle = InnerLifecycle.#all.get(inner) ?? new InnerLifecycle(inner);
    InnerLifecycle.#all.set(inner, lifecycle);
    return lifecycle;
  }

  readonly #inner: Provider;
  readonly #users = new Set<object>();
  #opening: Promise<void> | undefined;

  private constructor(inner: Provider) {
    this.#inner = inner;
  }

  /** Initializes the provider, unless that has been done. @throws what the provider throws. */
  open(user: object, context: EvaluationContext | undefined, domain: string | undefined): Promise<void> {
    this.#users.add(user);
    // OpenFeature may close what is registered, whoever else uses it.
    if (this.#opening === undefined || this.#statuses(domain).length > 0) {
      const opening = this.#open(context, domain).catch((error) => {
        if (this.#opening === opening) this.#opening = undefined;
        throw error;
      });
      this.#opening = opening;
    }
    return this.#opening;
  }

  /** Closes the provider with its last use. @throws what the provider throws. */
  async close(user: object, domain: string | undefined): Promise<void> {
    this.#users.delete(user);
    if (this.#users.size > 0) return;
    this.#opening = undefined;
    if (this.#statuses(domain).length === 0) await this.#inner.onClose?.();
  }

  async #open(context: EvaluationContext | undefined, domain: string | undefined): Promise<void> {
    if (this.#statuses(domain).length > 0) {
      // When the guarded provider takes the place of the provider itself, OpenFeature closes that one in this turn.
      await undefined;
      const hasStarted = this.#statuses(domain).some((status) => STARTED.includes(status));
      if (hasStarted || this.#users.size === 0) return;
    }
    await (this.#inner.initialize as Initialize | undefined)?.call(this.#inner, context, domain);
  }

  /** Of the provider's own registrations, in the domain of the guarded provider and in all that have started. */
  #statuses(domain: string | undefined): readonly ProviderStatus[] {
    return [domain, ...registeredDomains()]
      .filter((each) => providerOf(each) === this.#inner)
      .map((each) => clientOf(each).providerStatus);
  }
}

function providerOf(domain: string | undefined): Provider {
  return domain === undefined ? OpenFeature.getProvider() : OpenFeature.getProvider(domain);
}
