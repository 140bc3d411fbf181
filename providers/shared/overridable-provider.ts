import {
  type Client,
  type EvaluationContext,
  type FlagMetadata,
  OpenFeatureEventEmitter,
  type ProviderMetadata,
  type TrackingEventDetails,
} from '@openfeature/server-sdk';
import { cameThrough, type FlagSource, type TrackedEvent, type Unsubscribe } from '../../src/model/flags.js';
import type { Logger } from '../../src/support/logger.js';
import { emitOutcome } from './initialization-event.js';
import { Listeners } from './listeners.js';
import { LocalOverrides } from './local-overrides.js';
import { clientOf, registeredDomains } from './registered-domains.js';

/** What the providers have in common: guards override their flags, and see what `client.track()` brings. */
export abstract class OverridableProvider
  implements Pick<FlagSource, 'override' | 'clearOverride' | 'isOverridden' | 'onTrack' | 'defaultClient'>
{
  /** {@inheritDoc FlagSource.metadata} */
  abstract readonly metadata: ProviderMetadata;
  /** OpenFeature and guards listen to it. */
  readonly events = new OpenFeatureEventEmitter();

  /** @internal */
  protected readonly localOverrides = new LocalOverrides(this.events, (key) => this.metadataOf(key));
  /** In which it was initialized last. @internal */
  protected domain: string | undefined;
  readonly #tracking: Listeners<TrackedEvent>;

  /** @internal */
  constructor(logger: Logger) {
    this.#tracking = new Listeners(logger);
  }

  /** The flag metadata of evaluations in which chance has no part; undefined when Unleash has no such flag. @internal */
  abstract metadataOf(key: string): FlagMetadata | undefined;

  /** From now on, before the first data too, this process answers `false`, with reason `DISABLED` and `why` in the metadata. */
  override(key: string, why: string): void {
    this.localOverrides.set(key, why);
  }

  /** {@inheritDoc FlagSource.clearOverride} */
  clearOverride(key: string): void {
    this.localOverrides.clear(key);
  }

  /** {@inheritDoc FlagSource.isOverridden} */
  isOverridden(key: string): boolean {
    return this.localOverrides.has(key);
  }

  /** Passes the events of `client.track()` to the listeners of {@link onTrack}. */
  track(name: string, context: EvaluationContext = {}, details: TrackingEventDetails = {}): void {
    const { value, ...rest } = details;
    this.#tracking.notify({ name, targetingKey: context.targetingKey, value, details: rest });
  }

  /** {@inheritDoc FlagSource.onTrack} */
  onTrack(listener: (event: TrackedEvent) => void): Unsubscribe {
    return this.#tracking.add(listener);
  }

  /**
   * A client of an OpenFeature domain in which the provider is registered: of the one that it was initialized in while it is there, else
   * of another. Without any, a client of the first one, whatever its provider is now.
   */
  defaultClient(): Client {
    const isThrough = ({ metadata }: Client) => cameThrough(this.metadata, metadata.providerMetadata);
    const first = clientOf(this.domain);
    return isThrough(first) ? first : (registeredDomains().map(clientOf).find(isThrough) ?? first);
  }

  /**
   * To be called with each initialization.
   *
   * @param opened - Settles with it.
   * @internal
   */
  protected initializing(opened: Promise<void>, domain: string | undefined, isClosing: () => boolean): void {
    this.domain = domain;
    void emitOutcome(this, opened, isClosing);
  }
}
