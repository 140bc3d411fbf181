import { join } from 'node:path';
import type { DecisionView } from '../../dashboard/api.js';
import type { HistoryRequest, RolloutSource } from '../../dashboard/source.js';
import { FleetSource } from '../../dashboard/sources/fleet-source.js';
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
import type { OperatorControls } from '../act/operator-controls.js';
import type { GuardContext } from '../context/guard-context.js';
import { isControlError } from '../control/control-error.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { RollupKeeper } from '../observe/rollup-keeper.js';
import type { GuardView } from './guard-view.js';

/**
 * A running guard as a dashboard sees it. In a fleet, each process shows the whole fleet, from the shared store; one that is cut off shows
 * its own share.
 */
export class GuardSource implements RolloutSource {
  readonly flagKey: string;
  readonly #view: GuardView;
  readonly #rollups: RollupKeeper;
  readonly #controls: OperatorControls;
  readonly #fleet: GuardFleet;
  /** Undefined in a process without a shared store. */
  readonly #shared: FleetSource | undefined;
  readonly #story = new DecisionStory();

  constructor(
    { flagKey, records }: GuardContext,
    view: GuardView,
    rollups: RollupKeeper,
    controls: OperatorControls,
    fleet: GuardFleet,
  ) {
    this.flagKey = flagKey;
    this.#view = view;
    this.#rollups = rollups;
    this.#controls = controls;
    this.#fleet = fleet;
    if (fleet.rollout !== undefined) this.#shared = new FleetSource(flagKey, fleet.rollout);
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
    const { leads } = this.#fleet;
    // The leader has what it saves, as of now.
    return (leads ? undefined : await this.#ofFleet?.view()) ?? this.#view.current;
  }

  history(request: HistoryRequest): Promise<RolloutHistory> {
    return this.#ofFleet?.history(request) ?? this.#rollups.history(request);
  }

  async decisions(): Promise<readonly DecisionView[]> {
    const own = this.#story.decisions.toReversed();
    const shared = (await this.#ofFleet?.decisions()) ?? [];
    const known = new Set(shared.map(({ decision }) => decision.id));
    // What has just been decided is not in the shared store yet.
    const further = own.filter(({ decision }) => !known.has(decision.id));
    return [...shared, ...further].sort((a, b) => b.decision.at - a.decision.at);
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
    const ends = [
      this.#view.subscribe(listener),
      this.#shared?.subscribe(() => {
        if (this.#ofFleet !== undefined) listener();
      }),
    ];
    return () => {
      for (const end of ends) end?.();
    };
  }

  /** The fleet, while this process is connected to it and runs. */
  get #ofFleet(): FleetSource | undefined {
    return this.#fleet.isConnected && !this.isClosed ? this.#shared : undefined;
  }
}
