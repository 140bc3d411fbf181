import type { ControlReply, DecisionView } from '../../dashboard/api.js';
import type { RolloutSource, TimeRange } from '../../dashboard/source.js';
import { DecisionStory } from '../../journal/decision-story.js';
import type { Control } from '../../model/control.js';
import { entryOf } from '../../model/event-table.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import type { GuardContext } from '../guard-context.js';
import type { GuardView } from './guard-view.js';

/** A running guard as a dashboard sees it. */
export class GuardSource implements RolloutSource {
  readonly flagKey: string;
  readonly control: ((control: Control) => Promise<ControlReply>) | undefined;
  readonly #view: GuardView;
  readonly #history: (range: TimeRange) => Promise<RolloutHistory>;
  readonly #story = new DecisionStory();

  constructor(
    { flagKey, records }: GuardContext,
    view: GuardView,
    history: (range: TimeRange) => Promise<RolloutHistory>,
    control?: (control: Control) => Promise<ControlReply>,
  ) {
    this.flagKey = flagKey;
    this.control = control;
    this.#view = view;
    this.#history = history;
    records.listen((event) => this.#story.add(entryOf(event).report?.(event)));
  }

  get isClosed(): boolean {
    return this.#view.isClosed;
  }

  async view(): Promise<RolloutView> {
    return this.#view.current;
  }

  history(range: TimeRange): Promise<RolloutHistory> {
    return this.#history(range);
  }

  async decisions(): Promise<readonly DecisionView[]> {
    return this.#story.decisions.toReversed();
  }

  subscribe(listener: () => void): Unsubscribe {
    return this.#view.subscribe(listener);
  }
}
