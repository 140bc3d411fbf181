import {
  type EvaluationContext,
  type FlagMetadata,
  GeneralError,
  type JsonValue,
  type Logger as OpenFeatureLogger,
  type Provider,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { type Context, Unleash, type UnleashConfig } from 'unleash-client';
import type {
  EvaluationContextLike,
  ExposureSink,
  FlagClient,
  FlagFacts,
  FlagScope,
  FlagSource,
  FlagSourceHealth,
  Unsubscribe,
} from '../../src/model/flags.js';
import type { Exposure } from '../../src/model/shapes.js';
import type { HttpOptions } from '../../src/support/connection/http-options.js';
import { apiPathAdvice } from '../../src/unleash/client-api.js';
import { evaluateDirectly } from '../shared/direct-evaluation.js';
import { Listeners } from '../shared/listeners.js';
import { OverridableProvider } from '../shared/overridable-provider.js';
import { FlagCatalog } from './catalog.js';
import { missingIn } from './client/client-access.js';
import { Transport } from './client/transport.js';
import { toUnleashContext } from './context.js';
import { countOff, evaluateBoolean, evaluateVariant, notFound, notReady } from './evaluation.js';
import { Lifecycle } from './lifecycle.js';
import {
  environmentOf,
  isUnleash,
  neverFetches,
  type ProviderSettings,
  type ResolvedSettings,
  resolveOptions,
  scopeOf,
  type UnleashProviderOptions,
} from './provider-options.js';
import type { VariantType } from './variant.js';

export type { ProviderSettings, UnleashProviderOptions } from './provider-options.js';

const NOT_INITIALIZED = 'OpenFeature has not initialized the provider.';

/** Context attributes that are reported as left out; further ones are not. */
const MAX_REPORTED_ATTRIBUTES = 100;

/** That a flag with impression data was evaluated, as unleash-client reports it. */
export interface ImpressionEvent {
  /** Which evaluation: of on and off, or of the variant. */
  readonly eventType: 'isEnabled' | 'getVariant';
  /** The flag, as it is named in Unleash. */
  readonly featureName: string;
  /** The context that it was evaluated with, in Unleash's form. */
  readonly context: Context;
  /** Whether the flag was on for this context. */
  readonly enabled: boolean;
  /** The name of the assigned variant, for `getVariant`. */
  readonly variant?: string;
}

/**
 * Evaluates Unleash's flags for OpenFeature, in this process, and is the guard's source of flags.
 *
 * - Booleans are whether the flag is on; `variant` is `on`, `off`, or the name of the strategy's variant.
 * - Strings, numbers and objects are the payload of the assigned variant; without one the caller's
 *   default.
 * - `reason` is what decided the value (`ReasonResolver`), or `STALE` while the connection to Unleash is lost.
 * - A flag that the guard has stopped is `false`, or the caller's default for another type, with reason `DISABLED`,
 *   `flagMetadata.stoppedByGuard` and `flagMetadata.stopReason`. Unleash's usage metrics count it as off.
 *
 * Nothing is fetched and no timer runs until OpenFeature initializes the provider, and none after it closed it.
 */
export class UnleashProvider extends OverridableProvider implements Provider, FlagSource {
  readonly metadata = { name: 'unleash' } as const;
  readonly runsOn = 'server';

  /** How it connects to Unleash, for guards. */
  readonly http: HttpOptions | undefined;
  readonly #source: UnleashConfig | Unleash;
  readonly #settings: ResolvedSettings;
  readonly #catalog: FlagCatalog;
  readonly #changes: Listeners<string>;
  readonly #impressions: Listeners<ImpressionEvent>;
  readonly #reportedAttributes = new Set<string>();
  /** Of the evaluation that translates its context now; a closure for each would cost more than the rest. */
  #evaluationLogger: OpenFeatureLogger | undefined;
  #lifecycle: Lifecycle | undefined;

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
    super(resolved.settings.logger);
    this.#source = resolved.source;
    this.http = resolved.http;
    this.#settings = resolved.settings;
    const { logger } = this.#settings;
    this.#catalog = new FlagCatalog(logger);
    this.#changes = new Listeners(logger);
    this.#impressions = new Listeners(logger);
  }

  /**
   * Starts to poll, and resolves once the first data answers evaluations. OpenFeature calls it.
   *
   * @throws ProviderFatalError (`PROVIDER_FATAL`) when Unleash refuses the token and there is no backup or bootstrap.
   * @throws ProviderNotReadyError (`PROVIDER_NOT_READY`) after `initializationTimeoutMs` without data; the provider
   *   keeps trying and emits `READY` when data arrives.
   */
  initialize(_context?: EvaluationContext, domain?: string): Promise<void> {
    // OpenFeature does not wait for `onClose` before it registers the provider again.
    if (this.#lifecycle === undefined || this.#lifecycle.isClosing) {
      this.#lifecycle = this.#newLifecycle(this.#source);
    }
    const opened = this.#lifecycle.open();
    const lifecycle = this.#lifecycle;
    this.initializing(opened, domain, () => lifecycle.isClosing);
    return opened;
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
    const lifecycle = this.#lifecycle;
    const client = lifecycle?.client;
    if (this.localOverrides.size > 0) {
      const stopped = this.localOverrides.answer(flagKey, defaultValue, true);
      if (stopped !== undefined) {
        countOff(client, flagKey, false);
        return stopped;
      }
    }
    if (client === undefined) return notReady(defaultValue, this.health().message);
    const flag = this.#catalog.get(flagKey);
    if (flag === undefined) {
      countOff(client, flagKey, false);
      return notFound(flagKey, defaultValue);
    }

    this.#evaluationLogger = logger;
    const unleashContext = toUnleashContext(context, this.#onDropped);
    return evaluateBoolean(client, flag, unleashContext, lifecycle!.stale);
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

  /** {@inheritDoc FlagSource.evaluateDirectly} @internal */
  evaluateDirectly(
    client: FlagClient,
    context: EvaluationContextLike | undefined,
    sink: ExposureSink,
  ): Promise<Exposure> | undefined {
    return evaluateDirectly(this, client, context, sink);
  }

  /** {@inheritDoc FlagSource.flag} */
  flag(key: string): FlagFacts | undefined {
    return this.#catalog.get(key)?.facts;
  }

  /** @internal */
  metadataOf(key: string): FlagMetadata | undefined {
    return this.#catalog.get(key)?.metadata;
  }

  /** {@inheritDoc FlagSource.onChange} */
  onChange(listener: (key: string) => void): Unsubscribe {
    return this.#changes.add(listener);
  }

  /** Called for every evaluation of a flag with impression data. A listener's fault goes no further. */
  onImpression(listener: (event: ImpressionEvent) => void): Unsubscribe {
    return this.#impressions.add(listener);
  }

  /**
   * Asks Unleash now, and resolves when what it answered is evaluated: for a process that lives for less than a
   * `refreshInterval`, or is frozen between requests.
   *
   * @throws GeneralError, by rejecting, when the provider is not initialized, or Unleash does not answer.
   */
  async refresh(): Promise<void> {
    if (this.#lifecycle === undefined) throw new GeneralError(NOT_INITIALIZED);
    await this.#lifecycle.refresh();
  }

  /** {@inheritDoc FlagSource.flush} */
  async flush(): Promise<void> {
    await this.#lifecycle?.client?.flushMetrics();
  }

  /** The running client, for what OpenFeature has no name for; undefined before the first data and after `onClose`. */
  get unleashClient(): Unleash | undefined {
    return this.#lifecycle?.client;
  }

  /** {@inheritDoc FlagSource.health} */
  health(): FlagSourceHealth {
    return this.#lifecycle?.health ?? { status: 'error', message: NOT_INITIALIZED };
  }

  /** {@inheritDoc FlagSource.scope} */
  get scope(): FlagScope | undefined {
    return isUnleash(this.#source) ? undefined : scopeOf(this.#source.customHeaders);
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
    const client = this.#lifecycle?.client;
    const stopped = this.localOverrides.answer(flagKey, defaultValue, false);
    if (stopped !== undefined) {
      countOff(client, flagKey, true);
      return stopped;
    }
    if (client === undefined) return notReady(defaultValue, this.health().message);
    const flag = this.#catalog.get(flagKey);
    if (flag === undefined) {
      countOff(client, flagKey, true);
      return notFound(flagKey, defaultValue);
    }

    this.#evaluationLogger = logger;
    const unleashContext = toUnleashContext(context, this.#onDropped);
    const isStale = this.#lifecycle?.stale === true;
    return evaluateVariant(client, flag, unleashContext, isStale, type, defaultValue);
  }

  readonly #onDropped = (attribute: string): void => {
    const reported = this.#reportedAttributes;
    if (reported.has(attribute) || reported.size >= MAX_REPORTED_ATTRIBUTES) return;
    reported.add(attribute);
    const line = `The context attribute "${attribute}" is nested or invalid, and not passed on to Unleash.`;
    if (this.#evaluationLogger !== undefined) this.#evaluationLogger.debug(line);
    else this.#settings.logger.debug({ attribute }, line);
  };

  #newLifecycle(source: UnleashConfig | Unleash): Lifecycle {
    const { logger } = this.#settings;
    const transport = isUnleash(source) ? undefined : new Transport(source, logger, this.http);
    const client = isUnleash(source) ? source : new Unleash({ ...transport!.config, disableAutoStart: true });
    transport?.attach(client);
    const missing = isUnleash(source) || source.repository !== undefined ? [] : missingIn(client);
    if (missing.length > 0) {
      logger.warn({ missing }, 'This unleash-client is not known; the provider goes without these');
    }
    return new Lifecycle({
      client,
      transport,
      neverFetches: !isUnleash(source) && neverFetches(source),
      settings: this.#settings,
      catalog: this.#catalog,
      events: this.events,
      environment: environmentOf(source),
      advice: isUnleash(source) ? undefined : apiPathAdvice(source.url),
      onChanged: (keys) => {
        for (const key of keys) this.#changes.notify(key);
      },
      onImpression: (event) => this.#impressions.notify(event as ImpressionEvent),
    });
  }
}
