import type { GuardEvent } from '../model/event.js';
import type { GuardState } from '../model/state.js';

type Status = GuardState['status'];

/** A guard's state before and after an event; undefined while it does not watch. */
export interface StateChange {
  readonly before: Status | undefined;
  readonly after: Status | undefined;
}

/** Follows the states of guards, one for each flag, by what they tell. */
export class GuardStates {
  readonly #states = new Map<string, Status>();
  /** What an earlier run left: it holds once the guard has taken it up, which a dry run never does. */
  readonly #left = new Map<string, Status>();

  follow(event: GuardEvent, flagKey: string): StateChange {
    const before = this.#states.get(flagKey);
    const after = this.#after(event, flagKey, before);
    if (after === undefined) this.#states.delete(flagKey);
    else this.#states.set(flagKey, after);
    return { before, after };
  }

  #after(event: GuardEvent, flagKey: string, before: Status | undefined): Status | undefined {
    switch (event.type) {
      case 'started':
        if (event.status !== 'armed') this.#left.set(flagKey, event.status);
        return 'armed';
      case 'stopped-here': {
        const left = this.#left.get(flagKey) ?? 'stopping';
        this.#left.delete(flagKey);
        return left;
      }
      case 'decided':
        return event.decision.dryRun ? before : 'stopping';
      case 'stopped':
      case 'stepped-back':
        return 'stopped';
      case 're-armed':
        return 'armed';
      case 'closed':
        this.#left.delete(flagKey);
        return undefined;
      default:
        return before;
    }
  }
}
