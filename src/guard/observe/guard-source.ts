import { join } from 'node:path';
import type { DecisionView } from '../../dashboard/api.js';
import type { HistoryRequest, RolloutSource } from '../../dashboard/source.js';
import { AUDIT_FILE } from '../../journal/audit-log.js';
import { readAuditLog } from '../../journal/audit-reader.js';
import { DecisionStory } from '../../journal/decision-story.js';
import type { OpenFolder } from '../../journal/guard-folder.js';
import type { Control, ControlReply } from '../../model/control.js';
import { entryOf } from '../../model/event-table.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import { messageOf } from '../../support/async/callbacks.js';
import { isControlError } from '../control/control-error.js';
import type { OperatorControls } from '../control/operator-controls.js';
import type { GuardContext } from '../guard-context.js';
import type { GuardView } from './guard-view.js';
import type { RollupKeeper } from './rollup-keeper.js';

/** A running guard as a dashboard sees it. */
export class GuardSource implements RolloutSource {
  readonly flagKey: string;
  readonly #view: GuardView;
  readonly #rollups: RollupKeeper;
  readonly #controls: OperatorControls;
  readonly #story = new DecisionStory();

  constructor(
    { flagKey, records }: GuardContext,
    view: GuardView,
    rollups: RollupKeeper,
    controls: OperatorControls,
  ) {
    this.flagKey = flagKey;
    this.#view = view;
    this.#rollups = rollups;
    this.#controls = controls;
    records.listen((event) => this.#story.add(entryOf(event).report?.(event)));
  }

  /** Reads what earlier runs decided. */
  async open(folder: OpenFolder | undefined): Promise<void> {
    if (folder === undefined) return;
    const earlier = new DecisionStory();
    for await (const event of readAuditLog(join(folder.path, AUDIT_FILE))) {
      earlier.add(entryOf(event).report?.(event));
    }
    this.#story.begin(earlier);
  }

  get isClosed(): boolean {
    return this.#view.isClosed;
  }

  async view(): Promise<RolloutView> {
    return this.#view.current;
  }

  history(request: HistoryRequest): Promise<RolloutHistory> {
    return this.#rollups.history(request);
  }

  async decisions(): Promise<readonly DecisionView[]> {
    return this.#story.decisions.toReversed();
  }

  readonly control = async (control: Control): Promise<ControlReply> => {
    try {
      return await this.#controls.control(control);
    } catch (error) {
      const code = isControlError(error) ? { code: error.code } : {};
      return { accepted: false, ...code, message: messageOf(error) };
    }
  };

  subscribe(listener: () => void): Unsubscribe {
    return this.#view.subscribe(listener);
  }
}
