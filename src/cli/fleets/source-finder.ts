import type { RolloutSource } from '../../dashboard/source.js';
import { FolderFinder } from '../../dashboard/sources/find-folders.js';
import { FleetSource } from '../../dashboard/sources/fleet-source.js';
import { FleetChoice, type FleetOptions } from './fleet-choice.js';

/** Finds what a dashboard shows in folders and in Redis, again and again: guards may be started later. */
export class SourceFinder {
  readonly #folders: FolderFinder;
  readonly #choices: readonly FleetChoice[];
  #fleets: ReadonlyMap<string, FleetSource> = new Map();

  /** @throws ConfigError when a URL is invalid. */
  constructor(folders: readonly string[], urls: readonly string[], wanted: FleetOptions) {
    this.#folders = new FolderFinder(folders);
    this.#choices = urls.map((url) => new FleetChoice(url, wanted));
  }

  /** Those that were found last, by their flags. A source stays the same while its place does. */
  get sources(): readonly RolloutSource[] {
    return [...this.#folders.sources, ...this.#fleets.values()].sort((a, b) =>
      a.flagKey.localeCompare(b.flagKey),
    );
  }

  /** Searches once more. @throws when one flag is found in several places: each needs a dashboard of its own. */
  async search(): Promise<void> {
    const [, ...lists] = await Promise.all([
      this.#folders.search(),
      ...this.#choices.map((choice) => choice.all()),
    ]);
    const found = lists.flat();
    const places = new Map(this.#folders.sources.map(({ flagKey }) => [flagKey, 'a folder']));
    for (const { flagKey, name } of found) {
      const known = places.get(flagKey);
      if (known !== undefined) {
        throw new Error(
          `The flag ${flagKey} is in ${known} and in ${name}: a dashboard shows one of them (--environment, --service).`,
        );
      }
      places.set(flagKey, name);
    }
    this.#fleets = new Map(
      found.map(({ name, flagKey, rollout }) => [
        name,
        this.#fleets.get(name) ?? new FleetSource(flagKey, rollout),
      ]),
    );
  }

  close(): void {
    for (const choice of this.#choices) choice.close();
  }
}
