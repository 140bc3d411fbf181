import { rulesDigest } from '../fleet/feeds.js';
import { FleetMember } from '../fleet/fleet-member.js';
import type { KeyedView, MemberProgress, SharedStore } from '../fleet/fleet-options.js';
import type { FleetProcesses, FleetState, FleetStop, StopNotice } from '../fleet/fleet-shapes.js';
import { isOfFleet, type SharedRollout } from '../fleet/shared-rollout.js';
import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import type { ControlState } from '../model/control.js';
import type { GuardEvent } from '../model/event.js';
import { servedPercentage } from '../model/flags.js';
import type { FleetView, ProcessView } from '../model/rollout-view.js';
import type { Decision } from '../model/shapes.js';
import type { GuardState } from '../model/state.js';
import { version } from '../support/version.js';
import type { GuardContext } from './context/guard-context.js';
import { FleetControls } from './control/fleet-controls.js';
import type { GuardInput } from './decide/decide.js';
import type { Evaluator } from './evaluate/evaluator.js';
import type { FleetStatus } from './guard-status.js';
import { storeFor } from './options/rules.js';

/** What a fleet changes in this process's guard. */
interface FleetHandlers {
  readonly state: () => GuardState;
  readonly dispatch: (input: GuardInput) => void;
  /** The first epoch since the flag was turned on. */
  readonly oldestEpoch: () => number;
  /** The fleet's number of the epoch for this process's definition. */
  readonly skipTo: (epoch: number) => void;
  /** The fleet's outcomes have changed, and this process evaluates them. */
  readonly evaluate: () => void;
  /** What operators have asked for and still applies; undefined before the first request. */
  readonly adopt: (controls: ControlState | undefined) => void;
  /** Where the rollout stands, for whoever reads the shared store; the leader is asked once a second. */
  readonly view: () => KeyedView | undefined;
}

/** What {@link GuardFleet.evaluated} offers. */
export type EvaluatedStore = Pick<MemoryOutcomeStore, 'snapshot' | 'beginEpoch'>;

/** The processes that guard one flag together, as one of them sees them. */
export type GuardFleet = Pick<SharedFleet, keyof SharedFleet>;

/** A fleet of one: this process decides everything for itself. */
export function soloFleet(own: EvaluatedStore): GuardFleet {
  return {
    evaluated: own,
    leads: true,
    evaluates: true,
    evaluatesStages: true,
    isConnected: false,
    controls: undefined,
    rollout: undefined,
    status: () => undefined,
    progress: () => undefined,
    start: async () => {},
    close: async () => {},
    flushSoon: () => {},
    sync: async () => {},
    stopped: () => {},
    finished: () => {},
    reArmed: () => {},
    isOwn: () => true,
    mark: () => {},
    view: () => undefined,
  };
}

/** Decisions that are remembered: more are never open at once. */
const MOST_REMEMBERED = 16;
/** Events that wait to be marked, while the shared store does not reply. */
const MOST_EVENTS = 100;

/**
 * The fleet that shares the user's store. Keeps this guard's state and the fleet's the same: this process does what the fleet
 * has agreed on, and repeats to the fleet what this process decided or saw until the fleet has it. So a lost message, or a
 * server that lost its data, does no harm.
 */
export class SharedFleet {
  readonly #context: GuardContext;
  readonly #member: FleetMember;
  /** The requests of operators in the shared store; a process without one has none. */
  readonly controls: FleetControls | undefined;
  /** What the fleet keeps of its rollout in the shared store; a process without one has none. */
  readonly rollout: SharedRollout | undefined;
  readonly #rules: string;
  #processes: FleetProcesses = { listed: [], groups: [] };
  /** Set when the guard starts; before that, the fleet's changes are ignored. */
  #handlers: FleetHandlers | undefined;
  /** What the leader is to mark in the fleet's rollups. */
  readonly #events: GuardEvent[] = [];
  /** Decisions that this run made, or that applied to the fleet during it. */
  readonly #known: string[] = [];
  /** Decisions of other processes. */
  readonly #others: string[] = [];
  /** Decisions that have applied to the fleet. */
  readonly #applied: string[] = [];
  /** The stop by which the flag is overridden here until its decision has been read, and since when. */
  #announced: { readonly stop: StopNotice; readonly at: number } | undefined;
  /** Decisions after which this process saw an operator turn the flag on. */
  readonly #undone: string[] = [];

  /** @param own - What this process records. */
  constructor(context: GuardContext, shared: SharedStore, own: MemoryOutcomeStore, evaluator: Evaluator) {
    const { flagKey, flags, unleash, clock, records, rollback, review, serviceVersion } = context;
    this.#context = context;
    this.#rules = rulesDigest([...rollback, ...review]);
    const follow = (act: (handlers: FleetHandlers) => void) =>
      records.safely('following the fleet', () => {
        if (this.#handlers !== undefined) act(this.#handlers);
      });
    const link = shared.link({
      flagKey,
      environment: unleash.environment,
      about: { version, serviceVersion, rules: this.#rules },
    });
    this.#member = new FleetMember({
      own,
      openSince: () => own.openSince,
      emptyStore: () => storeFor(context, clock.now()),
      rules: [...rollback, ...review],
      link,
      clock,
      random: context.random,
      timing: shared.timing,
      intervals: context.resources.intervals,
      mayLead: unleash.token !== undefined,
      serviceVersion,
      observed: {
        percentage: () => servedPercentage(flags.flag(flagKey)),
        verdicts: () => evaluator.verdicts,
      },
      events: this.#events,
      view: () => this.#handlers?.view(),
      revision: () => flags.flag(flagKey)?.revision,
      oldestEpoch: () => this.#handlers?.oldestEpoch() ?? 0,
      reportedState: {
        get: () => evaluator.reportedState,
        set: (reported) => evaluator.restore(reported),
      },
      listener: {
        onStop: (stop) => follow((handlers) => this.#override(stop, handlers)),
        onInvalidStop: ({ version }) => follow((handlers) => this.#release(version, handlers)),
        onState: (state) => follow((handlers) => this.#reconcile(state, handlers)),
        onOutcomes: () => records.safely('evaluating', () => this.#handlers?.evaluate()),
        onEpoch: (epoch) => follow(({ skipTo }) => skipTo(epoch)),
        onConnection: (problem) => records.emit({ type: 'fleet-connection', at: clock.now(), problem }),
        onFault: records.fault,
        onProcesses: (processes) => {
          this.#processes = processes;
        },
      },
    });
    this.controls = new FleetControls(link.controls, this.#member);
    this.rollout = link.rollout;
  }

  /** The outcomes that this process evaluates: its own, or, in a fleet's leader, those of all. */
  get evaluated(): EvaluatedStore {
    return this.#member;
  }

  /** Whether this process changes Unleash and notifies operators: for the fleet, or, while it is cut off, for itself. */
  get leads(): boolean {
    return this.#member.role !== 'follower';
  }

  /** Whether this process evaluates all rollback triggers. Otherwise only those about the process itself. */
  get evaluates(): boolean {
    const { role, isCurrent } = this.#member;
    return role === 'standalone' || (role === 'leader' && isCurrent);
  }

  /** Whether outcomes are evaluated when the fleet's have arrived, instead of after each outcome of this process. */
  get isConnected(): boolean {
    return this.#member.role !== 'standalone';
  }

  /** Whether this process evaluates reviews and the stage: with all outcomes, and of the definition that it has. */
  get evaluatesStages(): boolean {
    return this.#member.role === 'leader' && this.#member.isCurrent && this.#member.hasFleetDefinition;
  }

  /** Undefined when this process shares no store with others. */
  status(): FleetStatus | undefined {
    const { instance, role, problem, losses, state } = this.#member;
    return { instance, role, problem, ...losses, epoch: state?.epoch };
  }

  /** Whether what the fleet records arrives and is read; undefined when this process shares no store with others. */
  progress(): MemberProgress | undefined {
    return this.#member.progress;
  }

  async start(handlers: FleetHandlers): Promise<void> {
    this.#handlers = handlers;
    await this.#member.start();
  }

  close(): Promise<void> {
    return this.#member.close();
  }

  /** Sends what this process recorded without waiting for the next flush. */
  flushSoon(): void {
    this.#member.flushSoon();
  }

  /** Sends and receives now. Resolves when the shared store has replied, or could not be reached. */
  sync(): Promise<void> {
    return this.#member.sync();
  }

  /** This process has stopped the flag. */
  stopped(decision: Decision): void {
    remember(this.#known, decision.id);
    void this.#member.stopFleet(decision);
  }

  /** Unleash confirmed the stop. */
  finished(decision: Decision, done: 'off' | 'stepped-back'): void {
    void this.#member.finishStop(decision.id, done);
  }

  /** This process re-armed after this decision. */
  reArmed(decision: Decision): void {
    remember(this.#undone, decision.id);
    // Of a fleet that was re-armed, each process would say so to the server.
    if (this.#member.state?.clearedStops.includes(decision.id)) return;
    void this.#member.clearStop(decision.id);
  }

  /** Whether this process made a decision, as far as it knows. */
  isOwn(decisionId: string): boolean {
    return !this.#others.includes(decisionId);
  }

  /** In the leader, the processes that have sent something lately, itself first; undefined elsewhere. */
  view(): FleetView | undefined {
    const { instance: own, role } = this.#member;
    if (role !== 'leader') return undefined;
    const { listed, groups } = this.#processes;
    const processes = listed.map(
      ({ rules, instance, ...rest }): ProcessView => ({
        ...rest,
        instance,
        role: instance === own ? 'leader' : 'follower',
        sameRules: rules === this.#rules,
      }),
    );
    processes.sort((a, b) => Number(b.role === 'leader') - Number(a.role === 'leader'));
    return {
      processes,
      groups: groups.map(({ rules, ...rest }) => ({ ...rest, sameRules: rules === this.#rules })),
    };
  }

  /** Keeps an event in the shared store, and marks it in the fleet's rollups. Only what the leader reports is the fleet's. */
  mark(event: GuardEvent): void {
    if (!this.leads || !isOfFleet(event)) return;
    this.#events.push(event);
    if (this.#events.length > MOST_EVENTS) this.#events.shift();
  }

  /** Nothing but the override: the decision, and what follows from it, comes later. */
  #override(stop: StopNotice, { state }: FleetHandlers): void {
    const { dryRun, flags, flagKey, clock } = this.#context;
    if (dryRun || state().status !== 'armed' || this.#undone.includes(stop.id)) return;
    flags.override(flagKey, stop.reason);
    if (this.#announced?.stop.id !== stop.id) this.#announced = { stop, at: clock.now() };
  }

  /** Up to this version of the fleet's state, no stop applies that was announced. */
  #release(version: number, { state }: FleetHandlers): void {
    if (this.#announced === undefined || this.#announced.stop.version > version) return;
    this.#announced = undefined;
    if (state().status === 'armed') this.#context.flags.clearOverride(this.#context.flagKey);
  }

  /** Applies what the fleet agrees on: after each change and each sync. */
  #reconcile(
    { version, stop, clearedStops, oldestEpoch, controls }: FleetState,
    handlers: FleetHandlers,
  ): void {
    const { dryRun, clock, flags, flagKey } = this.#context;
    handlers.adopt(controls);
    if (dryRun) return;
    if (stop !== undefined) remember(this.#applied, stop.decision.id);
    const own = handlers.state();
    if (own.status === 'armed') {
      if (stop === undefined) this.#release(version, handlers);
      else if (this.#undone.includes(stop.decision.id)) void this.#member.clearStop(stop.decision.id);
      else this.#follow(stop, handlers);
      return;
    }
    const { decision } = own;
    const isOfThisRun = this.#known.includes(decision.id);
    if (clearedStops.includes(decision.id)) {
      const isRefused = isOfThisRun && this.isOwn(decision.id) && !this.#applied.includes(decision.id);
      handlers.dispatch({ type: 'fleet-released', at: clock.now(), isRefused });
    } else if (stop === undefined) {
      // What an earlier run has finished is over when an operator has turned the flag on since. A server that lost its data does not know.
      const isOn = flags.flag(flagKey)?.enabled;
      const mayBeOver = own.status === 'stopped' && !isOfThisRun;
      if (mayBeOver && (isOn || decision.epoch < oldestEpoch))
        handlers.dispatch({ type: 'fleet-released', at: clock.now() });
      else if (!mayBeOver || isOn === false) void this.#member.stopFleet(decision, { isRepeated: true });
    } else if (stop.decision.id === decision.id && own.status === 'stopped' && stop.done === undefined) {
      this.finished(decision, own.steppedBack ? 'stepped-back' : 'off');
    } else {
      this.#follow(stop, handlers);
    }
  }

  #follow(stop: FleetStop, { dispatch }: FleetHandlers): void {
    const { id } = stop.decision;
    if (!this.#known.includes(id)) remember(this.#others, id);
    remember(this.#known, id);
    const by = this.#others.includes(id) ? 'fleet' : undefined;
    const announced = this.#announced?.stop.id === id ? this.#announced.at : undefined;
    this.#announced = undefined;
    dispatch({
      type: 'fleet-stopped',
      at: announced ?? this.#context.clock.now(),
      decision: stop.decision,
      done: stop.done,
      by,
    });
  }
}

function remember(list: string[], id: string): void {
  if (list.includes(id)) return;
  list.push(id);
  if (list.length > MOST_REMEMBERED) list.shift();
}
