import type { Context, Unleash } from 'unleash-client';
import type { Logger } from '../../src/support/logger.js';
import { internalsOf } from './client/client-access.js';
import type { FlagDefinition } from './definition.js';
import { Flag } from './flag-facts.js';

/** The flags that Unleash has, described once per change of the definitions, so that an evaluation is one lookup. */
export class FlagCatalog {
  #flags: ReadonlyMap<string, Flag> = new Map();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The flag, or undefined when Unleash does not have it. */
  get(key: string): Flag | undefined {
    return this.#flags.get(key);
  }

  /**
   * Describes the current definitions of unleash-client.
   *
   * @param environment - Of the definitions, where it is known.
   * @returns the flags that appeared, vanished, or roll out differently than before, be it through a segment or parent.
   */
  refresh(client: Unleash, staticContext: Context, environment?: string): readonly string[] {
    const definitions = new Map(
      this.#definitionsOf(client).map((definition) => [definition.name, definition] as const),
    );
    const before = this.#flags;
    const flags = new Map<string, Flag>();
    for (const [key, definition] of definitions) {
      try {
        flags.set(key, new Flag(definition, (parent) => definitions.get(parent), staticContext, environment));
      } catch (error) {
        this.#reportMalformed(key, error);
      }
    }
    this.#flags = flags;
    return [...new Set([...flags.keys(), ...before.keys()])].filter(
      (key) => flags.get(key)?.facts.revision !== before.get(key)?.facts.revision,
    );
  }

  /** A malformed definition must not affect other flags: unleash-client fails at all of them. */
  #definitionsOf(client: Unleash): readonly FlagDefinition[] {
    try {
      return client.getFeatureToggleDefinitions(true);
    } catch {
      return client.getFeatureToggleDefinitions().flatMap((feature) => {
        try {
          return [withSegments(client, feature)];
        } catch (error) {
          this.#reportMalformed(feature.name, error);
          return [];
        }
      });
    }
  }

  #reportMalformed(flagKey: string, error: unknown): void {
    this.#logger.error(
      { flagKey, error: String(error) },
      'Unleash sent a malformed flag: its evaluations return the default value',
    );
  }
}

type Feature = NonNullable<ReturnType<Unleash['getFeatureToggleDefinition']>>;

function withSegments(client: Unleash, feature: Feature): FlagDefinition {
  const { repository } = internalsOf(client);
  const strategies = feature.strategies?.map(({ segments, ...strategy }) => ({
    ...strategy,
    segments: segments?.map((id) => repository.getSegment(id)),
  }));
  return { ...feature, strategies } as FlagDefinition;
}
