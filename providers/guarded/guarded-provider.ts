import {
  ErrorCode,
  type EvaluationContext,
  type FlagMetadata,
  type Hook,
  type JsonValue,
  type Provider,
  type ProviderMetadata,
  type ResolutionDetails,
  StandardResolutionReasons,
  type TrackingEventDetails,
} from '@openfeature/server-sdk';
import type {
  FlagFacts,
  FlagScope,
  FlagSource,
  FlagSourceHealth,
  Unsubscribe,
} from '../../src/model/flags.js';
import { messageOf } from '../../src/support/async/callbacks.js';
import type { HttpOptions } from '../../src/support/connection/http-options.js';
import { OverridableProvider } from '../shared/overridable-provider.js';
import type { UnleashProvider } from '../unleash/provider.js';
import type { AdminRepository } from './admin-repository.js';
import { Agreement } from './agreement.js';
import { adminRepositoryOf, factsProvider } from './facts-provider.js';
import {
  type GuardedProviderOptions,
  type ResolvedGuardedOptions,
  resolveGuardedOptions,
} from './guarded-options.js';
import {
  described,
  type Evaluation,
  evaluateWith,
  isAlike,
  type Method,
  type Type,
} from './inner-evaluation.js';
import { InnerEvents } from './inner-events.js';
import { InnerLifecycle } from './inner-lifecycle.js';

export type { FlagFactsOptions, GuardedProviderOptions } from './guarded-options.js';

/** Flags that guards have asked for; further ones are evaluated by the wrapped provider alone. */
const MAX_GUARDED = 10_000;

/** Between two polls that changes of the wrapped provider cause, in milliseconds. */
const REFRESH_PAUSE_MS = 1_000;

const NO_HOOKS: Hook[] = [];

/**
 * Makes any OpenFeature provider one that a guard can stop: Unleash's own, a `MultiProvider`, an in-memory one. Everything
 * passes through unchanged, but for the flags that a guard guards:
 *
 * - an override answers at once, `false` with reason `DISABLED`, without the wrapped provider;
 * - the flag metadata has Unleash's facts beside the provider's own, with `chance` and `contextId` where chance decided and
 *   the provider answers as Unleash's definition does;
 * - an answer of another type becomes the caller's default, with `TYPE_MISMATCH`.
 *
 * How the flags roll out is read from Unleash directly. That it does not answer fails no evaluation.
 */
export class GuardedProvider extends OverridableProvider implements Provider, FlagSource {
  readonly metadata: ProviderMetadata;
  /** The wrapped provider. */
  readonly inner: Provider;
  /** How it connects to Unleash, for guards. */
  readonly http: HttpOptions | undefined;

  readonly #options: ResolvedGuardedOptions;
  /** Evaluates Unleash's definitions, for what is known of a flag and of one context. */
  readonly #facts: UnleashProvider;
  readonly #repository: AdminRepository | undefined;
  readonly #agreement: Agreement;
  readonly #guarded = new Set<string>();
  readonly #innerLifecycle: InnerLifecycle;
  readonly #innerEvents: InnerEvents;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  /**
   * @param inner - The provider to wrap. Register the guarded provider in its place.
   * @throws ConfigError that lists every problem.
   */
  constructor(inner: Provider, options: GuardedProviderOptions) {
    const resolved = resolveGuardedOptions(inner, options);
    const { logger, api, http } = resolved;
    super(logger);
    this.#options = resolved;
    this.inner = inner;
    this.http = http;
    // An object of its own: evaluations of the wrapped provider elsewhere are not guarded.
    this.metadata = Object.freeze({ ...inner.metadata, name: inner.metadata.name });
    this.#repository = api === 'admin' ? adminRepositoryOf(this.#options) : undefined;
    this.#facts = factsProvider(this.#options, this.#repository);
    this.#agreement = new Agreement(logger, inner.metadata.name);
    this.#innerLifecycle = InnerLifecycle.of(inner);
    this.#innerEvents = new InnerEvents(inner, this.events, () => this.#refreshSoon());
  }

  /** As the wrapped provider's. */
  get runsOn() {
    return this.inner.runsOn ?? 'server';
  }

  /** As the wrapped provider's: a `MultiProvider` needs its hooks. */
  get hooks(): Hook[] {
    return this.inner.hooks ?? NO_HOOKS;
  }

  /** As the wrapped provider's. */
  get domainScoped(): boolean {
    return (this.inner as { readonly domainScoped?: boolean }).domainScoped ?? false;
  }

  /**
   * Initializes the wrapped provider, and ends as that does. Unleash's facts may arrive later.
   *
   * @throws what the wrapped provider throws.
   */
  initialize(context?: EvaluationContext, domain?: string): Promise<void> {
    this.#isClosed = false;
    const opened = this.#initialize(context, domain);
    this.initializing(opened, domain, () => this.#isClosed);
    return opened;
  }

  async #initialize(context: EvaluationContext | undefined, domain: string | undefined): Promise<void> {
    this.#innerEvents.start();
    let timer: NodeJS.Timeout | undefined;
    const { initializationTimeoutMs, logger } = this.#options;
    const facts = this.#facts.initialize().catch((error: unknown) => {
      logger.warn({ problem: messageOf(error) }, 'Unleash has not sent how the guarded flags roll out');
    });
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, initializationTimeoutMs);
    });
    try {
      await this.#innerEvents.whileOpening(() => this.#innerLifecycle.open(this, context, domain));
      await Promise.race([facts, enough]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Ends the polls of Unleash, and closes the wrapped provider, unless it is registered by itself as well, or another guarded provider that
   * is open wraps it.
   */
  async onClose(): Promise<void> {
    this.#isClosed = true;
    const closed = this.#facts.onClose();
    try {
      this.#innerEvents.stop();
      await this.#innerLifecycle.close(this, this.domain);
    } finally {
      await closed;
    }
  }

  resolveBooleanEvaluation(...given: Evaluation<boolean>): Promise<ResolutionDetails<boolean>> {
    return this.#resolve('boolean', 'resolveBooleanEvaluation', given);
  }

  resolveStringEvaluation(...given: Evaluation<string>): Promise<ResolutionDetails<string>> {
    return this.#resolve('string', 'resolveStringEvaluation', given);
  }

  resolveNumberEvaluation(...given: Evaluation<number>): Promise<ResolutionDetails<number>> {
    return this.#resolve('number', 'resolveNumberEvaluation', given);
  }

  resolveObjectEvaluation<T extends JsonValue>(...given: Evaluation<T>): Promise<ResolutionDetails<T>> {
    return this.#resolve('object', 'resolveObjectEvaluation', given);
  }

  /** Passes `client.track()` to the listeners of `onTrack` and to the wrapped provider. */
  override track(name: string, context: EvaluationContext = {}, details: TrackingEventDetails = {}): void {
    super.track(name, context, details);
    this.inner.track?.(name, context, details);
  }

  /**
   * The definition's facts, or undefined when Unleash has no such flag or nothing has arrived yet. From the first call on, the flag
   * counts as guarded.
   */
  flag(key: string): FlagFacts | undefined {
    this.#guard(key);
    return this.#facts.flag(key);
  }

  /** @internal */
  metadataOf(key: string): FlagMetadata | undefined {
    return this.#facts.metadataOf(key);
  }

  /** {@inheritDoc FlagSource.onChange} */
  onChange(listener: (key: string) => void): Unsubscribe {
    return this.#facts.onChange(listener);
  }

  /** How far the definitions can be trusted: not `ok` while the wrapped provider is stale or has failed, either. */
  health(): FlagSourceHealth {
    const health = this.#facts.health();
    const { problem } = this.#innerEvents;
    return health.status === 'ok' && problem !== undefined
      ? { ...health, status: 'stale', ...problem }
      : health;
  }

  /** {@inheritDoc FlagSource.scope} */
  get scope(): FlagScope {
    return this.#options.scope;
  }

  /** Reads the definitions now. @throws GeneralError, by rejecting, when Unleash does not answer. */
  refresh(): Promise<void> {
    return this.#facts.refresh();
  }

  /** Sends what the wrapped provider counted and still holds, such as usage metrics, when it has a `flush()` of its own. */
  async flush(): Promise<void> {
    await (this.inner as { flush?(): unknown }).flush?.();
  }

  #resolve<T>(type: Type, method: Method, given: Evaluation<T>): Promise<ResolutionDetails<T>> {
    const [flagKey, defaultValue] = given;
    const stopped = this.localOverrides.answer(flagKey, defaultValue, type === 'boolean');
    if (stopped !== undefined) return Promise.resolve(stopped);
    return this.#guarded.has(flagKey)
      ? this.#evaluate(type, method, given)
      : evaluateWith(this.inner, method, given);
  }

  async #evaluate<T>(type: Type, method: Method, given: Evaluation<T>): Promise<ResolutionDetails<T>> {
    const [flagKey, defaultValue] = given;
    const details = await evaluateWith(this.inner, method, given);
    // A slow provider may have been asked before the flag was stopped.
    const stopped = this.localOverrides.answer(flagKey, defaultValue, type === 'boolean');
    if (stopped !== undefined) return stopped;
    if (details?.errorCode) return details;
    if (typeof details?.value !== type) return this.#mismatch(flagKey, type, details, defaultValue);
    this.#innerEvents.answered();
    // A context may have what only the wrapped provider can read.
    const wanted = await evaluateWith(this.#facts, method, given).catch(() => undefined);
    if (wanted === undefined || wanted.errorCode !== undefined)
      return described(details, { value: details.value }, false);
    const { chance, contextId } = wanted.flagMetadata ?? {};
    // A user that is drawn anew each time is drawn again here.
    const isDrawnAnew = chance !== undefined && contextId === undefined;
    const isTrusted = isDrawnAnew || this.#agreement.note(flagKey, isAlike(details, wanted));
    return described(details, wanted, isTrusted);
  }

  #mismatch<T>(
    flagKey: string,
    type: Type,
    details: ResolutionDetails<T> | undefined,
    value: T,
  ): ResolutionDetails<T> {
    return {
      value,
      reason: StandardResolutionReasons.ERROR,
      errorCode: ErrorCode.TYPE_MISMATCH,
      errorMessage:
        `The provider "${this.inner.metadata.name}" answered the evaluation of "${flagKey}" as ${type} ` +
        `with ${details?.value === undefined ? 'nothing' : `a value of type ${typeof details.value}`}.`,
      flagMetadata: details?.flagMetadata ?? {},
    };
  }

  #guard(key: string): void {
    if (this.#guarded.has(key) || this.#guarded.size >= MAX_GUARDED) return;
    this.#guarded.add(key);
    this.#repository?.add(key);
  }

  /** What the wrapped provider has noticed must not stay unknown here until the next poll. */
  #refreshSoon(): void {
    const now = performance.now();
    if (now - this.#refreshedAt < REFRESH_PAUSE_MS) return;
    this.#refreshedAt = now;
    this.#facts.refresh().catch(() => {});
  }
}
