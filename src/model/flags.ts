/** How the guard sees OpenFeature and Unleash: by shape, so that `src/` depends on neither. */
import type { Evaluation, Exposure } from './shapes.js';

/** What the guard needs of a flag's definition. */
export interface FlagFacts {
  /** The flag's name in Unleash. */
  readonly key: string;
  /** On in the environment of the provider's token. */
  readonly enabled: boolean;
  /** The effective percentage, 0–100; undefined when no single percentage describes the strategies. */
  readonly rolloutPercentage: number | undefined;
  /** The name of the strategy that decides, or of the first one. */
  readonly strategy: string | undefined;
  /** Its project; undefined when the definition does not say. */
  readonly project: string | undefined;
  /** Unleash's flag type, for example `release`; undefined when the definition does not say. */
  readonly type: string | undefined;
  /** Equal for two definitions exactly when they roll out alike: on/off, strategies, segments, variants. */
  readonly revision: string;
  /** Absent when there are none, and when no single list of variants, with the stickiness of the strategy, is everybody's. */
  readonly variants?: VariantFacts | undefined;
}

/** What a flag's users are assigned when the flag is on for them. */
export interface VariantFacts {
  /** The variants, and which share of users each gets: a weight of 1000 is all of them. */
  readonly weights: readonly { readonly name: string; readonly weight: number }[];
  /** By which field of the context they are assigned, as Unleash names it: `default`, `userId`, `random` and so on. */
  readonly stickiness: string;
}

/** How many users get the treatment, 0–100: 0 while the flag is off. Undefined when there is no single percentage, or no flag. */
export function servedPercentage(flag: FlagFacts | undefined): number | undefined {
  return flag?.enabled === false ? 0 : flag?.rolloutPercentage;
}

/** How well a source of flags knows Unleash's state. */
export interface FlagSourceHealth {
  /**
   * `ok`: the definitions are current. `stale`: they answer, but may be old. `error`: there are none, or only an operator
   * can help, such as with a refused token. A change in Unleash does not arrive unless the status is `ok`.
   */
  readonly status: 'ok' | 'stale' | 'error';
  /** Why, without credentials; absent while `ok`. */
  readonly message?: string | undefined;
  /** When the status began. */
  readonly since?: number | undefined;
  /** How long ago Unleash last confirmed the definitions, in milliseconds; absent before it ever did. */
  readonly dataAgeMs?: number | undefined;
}

/** What `client.track()` brought. */
export interface TrackedEvent {
  /** The event's name, the first argument of `track()`. */
  readonly name: string;
  /** Whose event it is; undefined when the context has none. */
  readonly targetingKey: string | undefined;
  /** The `value` of the details; undefined without one. */
  readonly value: number | undefined;
  /** All other details. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Removes a listener. */
export type Unsubscribe = () => void;

/** OpenFeature's provider metadata. Providers may have the same name, so it is the object that identifies one. */
export interface ProviderIdentity {
  /** The provider's name, for example `unleash`. */
  readonly name: string;
}

/** Where evaluations come from; OpenFeature's `Client` fits. */
export interface FlagClient {
  /** Through which provider the client evaluates. */
  readonly metadata?: { readonly providerMetadata?: ProviderIdentity | undefined } | undefined;
  /** Evaluates a boolean flag; answers the default where the flag cannot be evaluated. */
  getBooleanDetails(
    flagKey: string,
    defaultValue: boolean,
    context?: EvaluationContextLike,
    options?: { hookHints?: Readonly<Record<string, unknown>> },
  ): Promise<Evaluation>;
}

/** OpenFeature's evaluation context, by shape. */
export interface EvaluationContextLike {
  /** Whom the evaluation is for, for example a user's id. */
  readonly targetingKey?: string;
  readonly [key: string]: unknown;
}

/** Which flags a source has, as far as that is known. */
export interface FlagScope {
  /** Undefined for all projects, and for several. */
  readonly project: string | undefined;
  /** The Unleash environment; undefined while it is not known. */
  readonly environment: string | undefined;
}

/** The flags as the guard sees them; `UnleashProvider` and `GuardedProvider` implement it. */
export interface FlagSource {
  /**
   * The object by which OpenFeature's hooks name the provider of an evaluation: a guard counts only those of its own. A
   * source without it takes evaluations of every provider for its own.
   */
  readonly metadata?: ProviderIdentity | undefined;
  /** The definition's facts, or undefined when Unleash has no such flag or nothing has arrived yet. */
  flag(key: string): FlagFacts | undefined;
  /** From now on this process answers `false` for the flag, with reason `DISABLED` and `why` in the metadata. */
  override(key: string, why: string): void;
  /** Removes the local override. */
  clearOverride(key: string): void;
  /** Whether the flag is overridden in this process. */
  isOverridden(key: string): boolean;
  /** Called after the flag's definition changed, appeared or vanished. A listener's fault goes no further. */
  onChange(listener: (key: string) => void): Unsubscribe;
  /** Called for every `client.track()`. A listener's fault goes no further. */
  onTrack(listener: (event: TrackedEvent) => void): Unsubscribe;
  /** How well the source knows Unleash's state now. A source without it is taken to be `ok`. Cheap: guards ask on every tick. */
  health?(): FlagSourceHealth;
  /** Which flags the source has; undefined where it cannot be known. A guard of another environment is refused. */
  readonly scope?: FlagScope | undefined;
  /** Sends what the source counted and still holds, such as usage metrics. */
  flush?(): Promise<void>;
  /** How the source connects to Unleash, as `HttpOptions`: a guard without `http` and `fetch` connects alike. */
  readonly http?: object | undefined;
  /** The OpenFeature client that evaluates through this source when the user names none. */
  defaultClient(): FlagClient;
  /**
   * Evaluates the sink's flag for an operation, with the default `false`, as `client` would, where that would do nothing but ask this
   * source and report to the sink. Undefined everywhere else: ask the client. Never rejects.
   *
   * @internal
   */
  evaluateDirectly?(
    client: FlagClient,
    context: EvaluationContextLike | undefined,
    sink: ExposureSink,
  ): Promise<Exposure> | undefined;
}

/** What a hook needs of a guard. */
export interface ExposureSink {
  /** The guarded flag; evaluations of others are ignored. */
  readonly flagKey: string;
  /** Whose evaluations count; those of every provider without it. */
  readonly provider?: ProviderIdentity | undefined;
  /**
   * Captures an exposure. Touches memory only and never throws.
   *
   * @param isOperation - An operation completes it. @default false
   */
  exposed(evaluation: Evaluation, targetingKey: string | undefined, isOperation?: boolean): Exposure;
  /** Called once when the flag was evaluated often, and never through the guard's provider. Must not throw. */
  onlyForeign?(provider: ProviderIdentity): void;
}

/**
 * Whether an evaluation came through a provider, or through one that combines it with others: OpenFeature's `MultiProvider`
 * lists the metadata of its providers in its own, and there may be one within another.
 *
 * @param own - Undefined matches every provider.
 */
export function cameThrough(
  own: ProviderIdentity | undefined,
  provider: ProviderIdentity | undefined,
): boolean {
  return own === undefined || provider === undefined || isWithin(own, provider, MOST_NESTED);
}

/** A MultiProvider in a MultiProvider, and so on. */
const MOST_NESTED = 8;

function isWithin(own: object, metadata: object, depth: number): boolean {
  if (metadata === own) return true;
  if (depth === 0) return false;
  return Object.values(metadata).some(
    (inner) => typeof inner === 'object' && inner !== null && isWithin(own, inner, depth - 1),
  );
}

/** The key in OpenFeature's hook hints under which an operation waits for its exposure. */
export const EXPOSURE_SLOT = 'rolloutGuardExposure';

/** Filled by the hook, so that an operation completes exactly the exposure that its evaluation opened. */
export interface ExposureSlot {
  /** The guard whose exposure is awaited. Without it the first guard of the flag fills the slot. */
  readonly sink?: ExposureSink | undefined;
  exposure: Exposure | undefined;
}
