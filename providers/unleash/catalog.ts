import type { Context, Unleash } from 'unleash-client';
import type { Logger } from '../../src/support/logger.js';
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
  refresh(
    client: Pick<Unleash, 'getFeatureToggleDefinitions'>,
    staticContext: Context,
    environment?: string,
  ): readonly string[] {
    const definitions = new Map<string, FlagDefinition>(
      client.getFeatureToggleDefinitions(true).map((definition) => [definition.name, definition]),
    );
    const before = this.#flags;
    const flags = new Map<string, Flag>();
    for (const [key, definition] of definitions) {
      try {
        flags.set(key, new Flag(definition, (parent) => definitions.get(parent), staticContext, environment));
      } catch (error) {
        // A malformed definition must not affect other flags.
        this.#logger.error(
          { flagKey: key, error: String(error) },
          'Unleash sent a malformed flag: its evaluations return the default value',
        );
      }
    }
    this.#flags = flags;
    return [...new Set([...flags.keys(), ...before.keys()])].filter(
      (key) => flags.get(key)?.facts.revision !== before.get(key)?.facts.revision,
    );
  }
}
