import type { SharedRollout } from '../../fleet/shared-rollout.js';
import { DecisionStory } from '../../journal/decision-story.js';
import { agedView } from '../../journal/view-file.js';
import { entryOf } from '../../model/event-table.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import type { DecisionView } from '../api.js';
import type { HistoryRequest, RolloutSource } from '../source.js';

/** How often the shared store is asked while anyone reads, in milliseconds. */
const WATCH_MS = 500;

/** A whole fleet, as its leader shows it in the shared store. */
export class FleetSource implements RolloutSource {
  readonly flagKey: string;
  readonly #rollout: SharedRollout;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(flagKey: string, rollout: SharedRollout) {
    this.flagKey = flagKey;
    this.#rollout = rollout;
  }

  async view(): Promise<RolloutView | undefined> {
    const found = await this.#rollout.view();
    return found && agedView(found.view, found.now);
  }

  history(request: HistoryRequest): Promise<RolloutHistory> {
    return this.#rollout.history(request);
  }

  async decisions(): Promise<readonly DecisionView[]> {
    const story = new DecisionStory();
    for (const event of await this.#rollout.events()) story.add(entryOf(event).report?.(event));
    return story.decisions.toReversed();
  }

  /** The leader writes what has changed within about a second: whoever follows it need not ask what that is. */
  subscribe(listener: () => void): Unsubscribe {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => {
      for (const each of this.#listeners) each();
    }, WATCH_MS).unref();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }
}
