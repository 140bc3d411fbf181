import type { Context, Unleash } from 'unleash-client';
import type { Logger } from '../../src/support/logger.js';
import type { FlagDefinition } from './definition.js';
import { Flag } from './flag-facts.js';

/** The flags that Unleash has, described once per change of the definitions, so that an evaluation is one look-up. */
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
   * @returns the flags that appeared, vanished, or roll out differently than before, be it through a segment or parent.
   */
  refresh(client: Pick<Unleash, 'getFeatureToggleDefinitions'>, staticContext: Context): readonly string[] {
    const definitions = new Map<string, FlagDefinition>(
      client.getFeatureToggleDefinitions(true).map((definition) => [definition.name, definition]),
    );
    const before = this.#flags;
    const flags = new Map<string, Flag>();
    const changed: string[] = [];
    for (const [key, definition] of definitions) {
      const flag = this.#describe(definition, definitions, staticContext);
      if (flag === undefined) continue;
      flags.set(key, flag);
      if (flag.facts.revision !== before.get(key)?.facts.revision) changed.push(key);
    }
    for (const key of before.keys()) {
      if (!flags.has(key)) changed.push(key);
    }
    this.#flags = flags;
    return changed;
  }

  /** Undefined for a malformed definition, which must not affect other flags. */
  #describe(
    definition: FlagDefinition,
    definitions: ReadonlyMap<string, FlagDefinition>,
    staticContext: Context,
  ): Flag | undefined {
    try {
      return new Flag(definition, (key) => definitions.get(key), staticContext);
    } catch (error) {
      this.#logger.error(
        { flagKey: definition.name, error: String(error) },
        'Unleash sent a flag that cannot be read',
      );
      return undefined;
    }
  }
}
