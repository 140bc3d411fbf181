import {
  type Client,
  ErrorCode,
  type EvaluationContext,
  type JsonValue,
  OpenFeature,
  OpenFeatureEventEmitter,
  type Logger as OpenFeatureLogger,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
  StandardResolutionReasons,
  type TrackingEventDetails,
} from '@openfeature/server-sdk';
import { Unleash, type UnleashConfig } from 'unleash-client';
import type {
  FlagFacts,
  FlagSource,
  FlagSourceHealth,
  TrackedEvent,
  Unsubscribe,
} from '../../src/model/flags.js';
import type { HttpOptions } from '../../src/support/connection/http-options.js';
import { FlagCatalog } from './catalog.js';
import { Transport } from './client/transport.js';
import { toUnleashContext } from './context.js';
import { Lifecycle } from './lifecycle.js';
import { type LocalOverride, overridden } from './local-overrides.js';
import {
  isUnleash,
  neverFetches,
  type ProviderSettings,
  type ResolvedSettings,
  resolveOptions,
  type UnleashProviderOptions,
} from './provider-options.js';
import type { Explanation } from './reason-resolver.js';
import { type AssignedVariant, resolveVariant, type VariantType } from './variant.js';

export type { ProviderSettings, UnleashProviderOptions } from './provider-options.js';

const { ERROR, STALE } = StandardResolutionReasons;

const WHILE_STALE: Explanation = { reason: STALE, chance: undefined, contextId: undefined };

/** Context attributes that are reported as left out; further ones are not. */
const MAX_REPORTED_ATTRIBUTES = 100;

/** An object for each listener, so that the same function may be added twice. */
type Listeners<Event> = Set<{ readonly listener: (event: Event) => void }>;

/**
 * Evaluates Unleash's flags for OpenFeature, in this process, and is the guard's source of flags.
 *
 * - Booleans are whether the flag is on; `variant` is `on`, `off`, or the name of the strategy's variant.
 * - Strings, numbers and objects are the payload of the assigned variant ({@link resolveVariant}); without one the
 *   caller's default.
 * - `reason` is what decided the value (`ReasonResolver`), or `STALE` while the connection to Unleash is lost.
 * - A flag that the guard has stopped is `false`, or the caller's default for another type, with reason `DISABLED`,
 *   `flagMetadata.stoppedByGuard` and `flagMetadata.stopReason`. Unleash's usage metrics count it as off.
 *
 * Nothing is fetched and no timer runs until OpenFeature initializes the provider, and none after it closed it.
 */
export class UnleashProvider implements Provider, FlagSource {
  readonly metadata = { name: 'unleash' } as const;
  readonly runsOn = 'server';
  readonly events = new OpenFeatureEventEmitter();

  /** How it connects to Unleash, for guards. */
  readonly http: HttpOptions | undefined;
  readonly #source: UnleashConfig | Unleash;
  readonly #settings: ResolvedSettings;
  readonly #catalog: FlagCatalog;
  /** Almost always empty: the check costs one lookup. */
  readonly #overrides = new Map<string, LocalOverride>();
  readonly #changes: Listeners<string> = new Set();
  readonly #tracking: Listeners<TrackedEvent> = new Set();
  readonly #reportedAttributes = new Set<string>();
  #lifecycle: Lifecycle | undefined;
  #domain: string | undefined;

  /**
   * @param options - unleash-client's configuration, and the provider's own settings.
   * @throws ConfigError that lists every problem.
   */
  constructor(options: UnleashProviderOptions);
  /**
   * @param unleash - A client of your own. Closing the provider leaves it running: you destroy it.
   * @param settings - The provider's own settings.
   * @throws ConfigError that lists every problem.
   */
  constructor(unleash: Unleash, settings?: ProviderSettings);
  constructor(source: UnleashProviderOptions | Unleash, settings: ProviderSettings = {}) {
    const resolved = resolveOptions(source, settings);
    this.#source = resolved.source;
    this.http = resolved.http;
    this.#settings = resolved.settings;
    this.#catalog = new FlagCatalog(this.#settings.logger);
  }

  /**
   * Starts to poll, and resolves once the first data answers evaluations. OpenFeature calls it.
   *
   * @throws ProviderFatalError (`PROVIDER_FATAL`) when Unleash refuses the token and there is no backup or bootstrap.
   * @throws ProviderNotReadyError (`PROVIDER_NOT_READY`) after `initializationTimeoutMs` without data; the provider
   *   keeps trying and emits `READY` when data arrives.
   */
  initialize(_context?: EvaluationContext, domain?: string): Promise<void> {
    this.#domain = domain;
    // OpenFeature does not wait for `onClose` before it registers the provider again.
    if (this.#lifecycle === undefined || this.#lifecycle.isClosing) {
      this.#lifecycle = this.#newLifecycle(this.#source);
    }
    return this.#lifecycle.open();
  }

  /** Sends the last usage metrics and stops everything that was started; a client of your own keeps running. */
  async onClose(): Promise<void> {
    await this.#lifecycle?.close();
  }

  async resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
    logger?: OpenFeatureLogger,
  ): Promise<ResolutionDetails<boolean>> {
    const override = this.#overrides.get(flagKey);
    if (override !== undefined) return { ...this.#overridden(flagKey, override, false), variant: 'off' };
    const client = this.#lifecycle?.client;
    if (client === undefined) return notReady(defaultValue, this.health());
    const flag = this.#catalog.get(flagKey);
    if (flag === undefined) return notFound(client, flagKey, defaultValue);

    const unleashContext = this.#translate(context, logger);
    let value: boolean;
    let variant: string | undefined;
    if (flag.hasStrategyVariants) {
      const assigned = client.getVariant(flagKey, unleashContext);
      value = assigned.feature_enabled === true;
      if (value && assigned.enabled) variant = assigned.name;
    } else {
      value = client.isEnabled(flagKey, unleashContext);
    }
    const explanation = this.#lifecycle?.stale
      ? WHILE_STALE
      : flag.reasonResolver.explain(value, unleashContext);
    return {
      value,
      variant: variant ?? (value ? 'on' : 'off'),
      reason: explanation.reason,
      flagMetadata: flag.metadataOf(explanation),
    };
  }

  resolveStringEvaluation(
    flagKey: string,
    defaultValue: string,
    context: EvaluationContext,
    logger?: OpenFeatureLogger,
  ): Promise<ResolutionDetails<string>> {
    return this.#resolveVariant('string', flagKey, defaultValue, context, logger);
  }

  resolveNumberEvaluation(
    flagKey: string,
    defaultValue: number,
    context: EvaluationContext,
    logger?: OpenFeatureLogger,
  ): Promise<ResolutionDetails<number>> {
    return this.#resolveVariant('number', flagKey, defaultValue, context, logger);
  }

  resolveObjectEvaluation<T extends JsonValue>(
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
    logger?: OpenFeatureLogger,
  ): Promise<ResolutionDetails<T>> {
    return this.#resolveVariant('object', flagKey, defaultValue, context, logger);
  }

  /** Passes the events of `client.track()` to the listeners of {@link onTrack}. */
  track(name: string, context: EvaluationContext = {}, details: TrackingEventDetails = {}): void {
    const { value, ...rest } = details;
    const event = { name, targetingKey: context.targetingKey, value, details: rest };
    this.#notify(this.#tracking, event);
  }

  /** {@inheritDoc FlagSource.flag} */
  flag(key: string): FlagFacts | undefined {
    return this.#catalog.get(key)?.facts;
  }

  /** {@inheritDoc FlagSource.override} Works before the first data too. */
  override(key: string, why: string): void {
    const isNew = !this.#overrides.has(key);
    this.#overrides.set(key, { why, cached: undefined });
    if (isNew) this.#announce(key, 'The guard stopped the flag in this process');
  }

  /** {@inheritDoc FlagSource.clearOverride} */
  clearOverride(key: string): void {
    if (this.#overrides.delete(key)) {
      this.#announce(key, 'The guard cleared its override of the flag in this process');
    }
  }

  /** {@inheritDoc FlagSource.isOverridden} */
  isOverridden(key: string): boolean {
    return this.#overrides.has(key);
  }

  /** {@inheritDoc FlagSource.onChange} A listener's fault reaches neither the caller nor other listeners. */
  onChange(listener: (key: string) => void): Unsubscribe {
    return subscribe(this.#changes, listener);
  }

  /** {@inheritDoc FlagSource.onTrack} A listener's fault reaches neither the caller nor other listeners. */
  onTrack(listener: (event: TrackedEvent) => void): Unsubscribe {
    return subscribe(this.#tracking, listener);
  }

  /** {@inheritDoc FlagSource.health} */
  health(): FlagSourceHealth {
    return (
      this.#lifecycle?.health ?? { status: 'error', message: 'OpenFeature has not initialized the provider.' }
    );
  }

  /** A client of the OpenFeature domain that the provider was registered under first, or of the default one. */
  defaultClient(): Client {
    return this.#domain === undefined ? OpenFeature.getClient() : OpenFeature.getClient(this.#domain);
  }

  /** unleash-client's own, for metrics of yours beside the guard's; undefined before the first data and after `onClose`. */
  get impactMetrics(): Unleash['impactMetrics'] | undefined {
    return this.#lifecycle?.client?.impactMetrics;
  }

  async #resolveVariant<T>(
    type: VariantType,
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
    logger: OpenFeatureLogger | undefined,
  ): Promise<ResolutionDetails<T>> {
    const override = this.#overrides.get(flagKey);
    if (override !== undefined) return this.#overridden(flagKey, override, defaultValue);
    const client = this.#lifecycle?.client;
    if (client === undefined) return notReady(defaultValue, this.health());
    const flag = this.#catalog.get(flagKey);
    if (flag === undefined) return notFound(client, flagKey, defaultValue);

    const unleashContext = this.#translate(context, logger);
    const stale = this.#lifecycle?.stale === true;
    const variant: AssignedVariant = client.getVariant(flagKey, unleashContext);
    if (!variant.enabled) {
      const explanation = stale
        ? WHILE_STALE
        : flag.explainNoVariant(variant.feature_enabled, unleashContext);
      return {
        value: defaultValue,
        reason: explanation.reason,
        flagMetadata: flag.metadataOf(explanation),
      };
    }
    const explanation = stale ? WHILE_STALE : flag.explainVariant(variant.payload, unleashContext);
    const metadata = flag.variantMetadata(explanation, variant.payload?.type);
    return resolveVariant(variant, type, defaultValue, explanation.reason, metadata);
  }

  #translate(context: EvaluationContext, logger: OpenFeatureLogger | undefined) {
    return toUnleashContext(context, (attribute) => {
      const reported = this.#reportedAttributes;
      if (reported.has(attribute) || reported.size >= MAX_REPORTED_ATTRIBUTES) return;
      reported.add(attribute);
      logger?.debug(
        `The context attribute "${attribute}" is nested or invalid, and not passed on to Unleash.`,
      );
    });
  }

  #overridden<T>(flagKey: string, override: LocalOverride, value: T): ResolutionDetails<T> {
    this.#lifecycle?.client?.count(flagKey, false);
    return overridden(override, this.#catalog.get(flagKey), value);
  }

  #notify<Event>(listeners: Listeners<Event>, event: Event): void {
    for (const { listener } of listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#settings.logger.error({ error: String(error) }, 'A listener of the Unleash provider failed');
      }
    }
  }

  #announce(key: string, message: string): void {
    this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: [key], message });
  }

  #newLifecycle(source: UnleashConfig | Unleash): Lifecycle {
    const transport = isUnleash(source) ? undefined : new Transport(source, this.#settings.logger, this.http);
    const client = isUnleash(source) ? source : new Unleash({ ...transport!.config, disableAutoStart: true });
    transport?.attach(client);
    return new Lifecycle({
      client,
      transport,
      neverFetches: !isUnleash(source) && neverFetches(source),
      settings: this.#settings,
      catalog: this.#catalog,
      events: this.events,
      onChanged: (keys) => {
        for (const key of keys) this.#notify(this.#changes, key);
      },
    });
  }
}

function subscribe<Event>(listeners: Listeners<Event>, listener: (event: Event) => void): Unsubscribe {
  const entry = { listener };
  listeners.add(entry);
  return () => {
    listeners.delete(entry);
  };
}

function notReady<T>(value: T, { message = '' }: FlagSourceHealth): ResolutionDetails<T> {
  return { value, reason: ERROR, errorCode: ErrorCode.PROVIDER_NOT_READY, errorMessage: message };
}

function notFound<T>(client: Unleash, flagKey: string, value: T): ResolutionDetails<T> {
  // As unleash-client itself does: Unleash's UI then shows which missing flags are evaluated.
  client.count(flagKey, false);
  const errorMessage = `Unleash has no flag "${flagKey}" in the projects and the environment of the token.`;
  return { value, reason: ERROR, errorCode: ErrorCode.FLAG_NOT_FOUND, errorMessage };
}
