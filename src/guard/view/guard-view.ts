import type { KeyedView } from '../../fleet/fleet-options.js';
import type { OpenFolder } from '../../journal/guard-folder.js';
import type { ControlsInForce } from '../../model/control.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { RolloutView } from '../../model/rollout-view.js';
import { version } from '../../support/version.js';
import type { TokenWatch } from '../act/token-watch.js';
import type { GuardContext } from '../context/guard-context.js';
import type { Evaluator } from '../evaluate/evaluator.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardMachine } from '../guard-machine.js';
import type { GuardProblem } from '../guard-status.js';
import type { GuardHealth } from '../health/guard-health.js';
import {
  buildView,
  changeKeyOf,
  failingOf,
  stepStatuses,
  type TriggerStatuses,
  type ViewFacts,
} from './view-builder.js';
import { ViewWriter } from './view-writer.js';

/** The parts of a guard that a view shows. */
interface ViewedParts {
  readonly context: GuardContext;
  readonly machine: GuardMachine;
  readonly evaluator: Evaluator;
  readonly fleet: GuardFleet;
  readonly health: Pick<GuardHealth, 'current'>;
  /** Undefined in a process that has no admin token. */
  readonly tokenWatch: TokenWatch | undefined;
  readonly problems: () => readonly GuardProblem[];
  /** The flag's page in Unleash. */
  readonly flagUrl: string;
  readonly controls: () => ControlsInForce;
}

/** Between two searches for where the treatment fails, in milliseconds. */
const FAILING_MS = 3_000;
const SHOWING = 'showing the rollout';
/** How often a view is made for those who watch it, in milliseconds: between two ticks of the guard. */
const WATCHED_MS = 400;

/** Where the rollout stands, for readers in this process and for the folder. */
export class GuardView {
  readonly #parts: ViewedParts;
  readonly #writer: ViewWriter;
  readonly #listeners = new Set<(view: RolloutView) => void>();
  #statuses: TriggerStatuses = new Map();
  #shown = '';
  #failing:
    | {
        readonly key: string;
        readonly status: string;
        readonly at: number;
        readonly found: ViewFacts['failing'];
      }
    | undefined;
  #stopPolling: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: ViewedParts) {
    this.#parts = parts;
    this.#writer = new ViewWriter(parts.context);
  }

  /** The guard has ended. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** As of now. */
  get current(): RolloutView {
    const { context, machine, evaluator, fleet, health, tokenWatch, problems, flagUrl, controls } =
      this.#parts;
    const { clock, unleash } = context;
    const now = clock.now();
    const { state } = machine;
    const { verdicts } = evaluator;
    // A breach is no later than the stop that it led to.
    const since = state.status === 'armed' ? now : Math.min(now, state.decision.at);
    this.#statuses = stepStatuses(this.#statuses, verdicts, since);
    const flag = context.flagFacts();
    const snapshot = fleet.evaluated.snapshot(now);
    return buildView({
      ...context,
      project: unleash.project,
      environment: unleash.environment,
      flagUrl,
      state,
      isClosed: this.#isClosed,
      health: health.current,
      problems: problems(),
      tokenExpiresAt: tokenWatch?.expiresAt,
      flag,
      stage: flag?.enabled && state.status === 'armed' ? evaluator.stage : undefined,
      verdicts,
      statuses: this.#statuses,
      failing: this.#failingNow({ state, verdicts, snapshot }),
      openReviews: evaluator.openReviews,
      controls: controls(),
      fleet: fleet.view(),
      snapshot,
      guardVersion: version,
    });
  }

  /** Calls the listener with each view that differs from the one before; the returned function removes it. It must not throw. */
  subscribe(listener: (view: RolloutView) => void): Unsubscribe {
    this.#listeners.add(listener);
    // A dashboard of a thousand flags watches all.
    this.#stopPolling ??= this.#parts.context.resources.intervals.every(WATCHED_MS, () => this.poll());
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#endPolling();
    };
  }

  /** {@link current} with its {@link changeKeyOf | key}. */
  get keyed(): KeyedView & { readonly view: RolloutView } {
    const view = this.current;
    return { key: changeKeyOf(view), view };
  }

  /** @param folder - Where it is written; undefined: nowhere. */
  start(folder: OpenFolder | undefined): void {
    this.#writer.start(folder);
  }

  /** Called on every tick: writes and shows what has changed. */
  poll(): void {
    const { context, evaluator } = this.#parts;
    context.records.safely(SHOWING, () => {
      if (!this.#writer.isOpen && this.#listeners.size === 0) {
        this.#statuses = stepStatuses(this.#statuses, evaluator.verdicts, context.clock.now());
        return;
      }
      const { view, key } = this.keyed;
      this.#writer.poll(view, key);
      this.#show(view, key);
    });
  }

  /** Shows and writes that the guard has ended. Resolves when that is on disk, or could not be written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endPolling();
    try {
      const { view, key } = this.keyed;
      this.#show(view, key);
      await this.#writer.close(view);
    } catch (error) {
      this.#parts.context.records.fault(SHOWING, error);
    }
    this.#listeners.clear();
  }

  #endPolling(): void {
    this.#stopPolling?.();
    this.#stopPolling = undefined;
  }

  #show(view: RolloutView, key: string): void {
    if (key === this.#shown) return;
    this.#shown = key;
    for (const listener of this.#listeners) listener(view);
  }

  /** Not each time: it examines hundreds of outcomes. */
  #failingNow(facts: Parameters<typeof failingOf>[0]): ViewFacts['failing'] {
    const { state, snapshot } = facts;
    const now = this.#parts.context.clock.monotonic();
    const key = `${state.status} ${snapshot.epoch} ${snapshot.total.treatment.failures}`;
    const known = this.#failing;
    const isRecent = known !== undefined && known.status === state.status && now - known.at < FAILING_MS;
    if (known !== undefined && (known.key === key || isRecent)) return known.found;
    const found = failingOf(facts);
    this.#failing = { key, status: state.status, at: now, found };
    return found;
  }
}
