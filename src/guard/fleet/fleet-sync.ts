import type { FleetMember } from '../../fleet/fleet-member.js';
import type { FleetState, FleetStop } from '../../fleet/fleet-shapes.js';
import type { Decision } from '../../model/shapes.js';
import type { GuardState } from '../../model/state.js';
import type { GuardInput } from '../decide/decide.js';

/** What {@link FleetSync} works with. */
export interface FleetSyncOptions {
  readonly member: FleetMember;
  readonly dryRun: boolean;
  readonly state: () => GuardState;
  readonly dispatch: (input: GuardInput) => void;
  readonly now: () => number;
}

/** Decisions that are remembered: more are never open at once. */
const MOST_REMEMBERED = 16;

/**
 * Keeps this guard's state and the fleet's the same: what the fleet was told, this process does, and what this process
 * decided or saw, the fleet is told, again and again until it knows. So a lost message, or a server that lost its data, does
 * no harm.
 */
export class FleetSync {
  readonly #options: FleetSyncOptions;
  /** Decisions that this run made, or that the fleet held during it. */
  readonly #known: string[] = [];
  /** Decisions of other processes. */
  readonly #others: string[] = [];
  /** Decisions after which this process saw a person turn the flag on. */
  readonly #undone: string[] = [];

  constructor(options: FleetSyncOptions) {
    this.#options = options;
  }

  /** Whether another process made this decision. */
  isOthers(decision: Decision | undefined): boolean {
    return decision !== undefined && this.#others.includes(decision.id);
  }

  /** This process has stopped the flag: tells all others at once. */
  stopped(decision: Decision): void {
    remember(this.#known, decision.id);
    void this.#options.member.stopFleet(decision);
  }

  /** Unleash took the stop. */
  finished(decision: Decision, done: 'off' | 'stepped-back'): void {
    void this.#options.member.finishStop(decision.id, done);
  }

  /** This process watches again after this decision. */
  reArmed(decision: Decision): void {
    remember(this.#undone, decision.id);
    void this.#options.member.clearStop(decision.id);
  }

  /** What the fleet agrees on, whenever it changes and with each answer. */
  reconcile({ stop, clearedStops }: FleetState): void {
    const { dryRun, state, dispatch, now, member } = this.#options;
    if (dryRun) return;
    const mine = state();
    const at = now();
    if (mine.status === 'armed') {
      if (stop === undefined) return;
      if (this.#undone.includes(stop.decision.id)) {
        void member.clearStop(stop.decision.id);
        return;
      }
      this.#follow(stop, at);
      return;
    }
    const { decision } = mine;
    if (clearedStops.includes(decision.id)) {
      dispatch({ type: 'fleet-released', at });
    } else if (stop === undefined) {
      // What an earlier run left finished is old news: the flag is off in Unleash, or a person has turned it on since.
      const isOld = mine.status === 'stopped' && !this.#known.includes(decision.id);
      if (isOld) dispatch({ type: 'fleet-released', at });
      else this.stopped(decision);
    } else {
      const finishedHere = mine.status === 'stopped' && stop.done === undefined;
      if (stop.decision.id === decision.id && finishedHere) {
        this.finished(decision, mine.steppedBack ? 'stepped-back' : 'off');
      } else {
        this.#follow(stop, at);
      }
    }
  }

  #follow(stop: FleetStop, at: number): void {
    const { id } = stop.decision;
    if (!this.#known.includes(id)) remember(this.#others, id);
    remember(this.#known, id);
    this.#options.dispatch({ type: 'fleet-stopped', at, decision: stop.decision, done: stop.done });
  }
}

function remember(list: string[], id: string): void {
  if (list.includes(id)) return;
  list.push(id);
  if (list.length > MOST_REMEMBERED) list.shift();
}
