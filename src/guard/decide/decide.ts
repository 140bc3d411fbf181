import type { FlagFacts } from '../../model/flags.js';
import {
  ARMS,
  type Arm,
  type ArmCounts,
  type Decision,
  type Snapshot,
  type Verdict,
} from '../../model/shapes.js';
import { percentageBefore, type Stage } from '../../model/stage.js';
import type { GuardState, StopFailure } from '../../model/state.js';

/** What happens to a guard. */
export type GuardInput =
  /** Triggers breached. */
  | { readonly type: 'breached'; readonly at: number; readonly decision: Decision }
  /** The provider showed the flag's definition. */
  | {
      readonly type: 'definition';
      readonly at: number;
      readonly enabled: boolean;
      readonly rolloutPercentage: number | undefined;
    }
  /** The admin API, which has no delay, was asked for the flag. */
  | {
      readonly type: 'flag-read';
      readonly at: number;
      readonly enabled: boolean;
      /** Undefined when the flag has not exactly one gradual rollout. */
      readonly rolloutPercentage: number | undefined;
    }
  /** The admin API's history shows that somebody turned the flag on after the decision. */
  | { readonly type: 'turned-on-since'; readonly at: number }
  /** Unleash took `off`, and reading the flag back showed it off. */
  | { readonly type: 'off-confirmed'; readonly at: number }
  /** Unleash took the lower percentage of a `step-back`. */
  | { readonly type: 'stepped-back'; readonly at: number }
  /** The fleet holds a stop: `done` says what Unleash took of it. */
  | {
      readonly type: 'fleet-stopped';
      readonly at: number;
      readonly decision: Decision;
      readonly done: 'off' | 'stepped-back' | undefined;
    }
  /** Another process of the fleet saw a person turn the flag on. */
  | { readonly type: 'fleet-released'; readonly at: number }
  /** Unleash did not take `off`. */
  | { readonly type: 'off-failed'; readonly at: number; readonly failure: StopFailure };

/** What the loop must do after a step, in this order. */
export type Effect =
  | 'record-decision'
  | 'stop-here'
  | 'stop-fleet'
  | 'stop-in-unleash'
  | 'confirm-stopped'
  | 'tell-failure'
  | 'ask-person'
  | 're-arm';

/** One step of the guard. */
export interface Step {
  readonly state: GuardState;
  readonly effects: readonly Effect[];
}

/** The state of a guard that has never decided anything, or of one that watches anew. */
export function initialState(at: number, steppedBackFrom?: number): GuardState {
  return { status: 'armed', since: at, ...(steppedBackFrom === undefined ? {} : { steppedBackFrom }) };
}

/**
 * What holds of a state that an earlier run left. What was told then is told again, as a new log has new readers; and that
 * the flag was seen off says nothing of definitions from a backup or bootstrap, which may be older. Pure.
 */
export function afterRestart(state: GuardState): GuardState {
  switch (state.status) {
    case 'armed':
      return state;
    case 'stopping':
      return { status: 'stopping', since: state.since, decision: state.decision };
    case 'stopped':
      return { ...state, seenOff: false };
  }
}

/**
 * The guard's whole policy: what it becomes, and what must be done, after one input. Pure.
 * The guard never turns a flag on, and takes a person's `on` after a stop as the order to watch again.
 */
export function decide(state: GuardState, input: GuardInput): Step {
  if (input.type === 'fleet-stopped') return stoppedByFleet(state, input);
  switch (state.status) {
    case 'armed':
      return input.type === 'breached' ? breached(state, input.at, input.decision) : stay(state);
    case 'stopping':
      return whileStopping(state, input);
    case 'stopped':
      return whileStopped(state, input);
  }
}

const stay = (state: GuardState): Step => ({ state, effects: [] });

function breached(state: GuardState & { status: 'armed' }, at: number, decision: Decision): Step {
  if (!decision.dryRun) {
    return {
      state: { status: 'stopping', since: at, decision },
      effects: ['stop-here', 'stop-fleet', 'record-decision', 'stop-in-unleash'],
    };
  }
  if (state.wouldHaveStopped?.epoch === decision.epoch) return stay(state);
  return {
    state: { status: 'armed', since: state.since, wouldHaveStopped: decision },
    effects: ['record-decision'],
  };
}

/** The fleet's stop holds here too, in place of one that was decided here at the same time. */
function stoppedByFleet(
  state: GuardState,
  { at, decision, done }: GuardInput & { type: 'fleet-stopped' },
): Step {
  const isNew = state.status === 'armed' || state.decision.id !== decision.id;
  const effects: Effect[] = isNew ? ['stop-here', 'record-decision'] : [];
  if (done === undefined) {
    return isNew ? { state: { status: 'stopping', since: at, decision }, effects } : stay(state);
  }
  if (!isNew && state.status === 'stopped') return stay(state);
  return {
    state: {
      status: 'stopped',
      since: at,
      decision,
      confirmedBy: 'fleet',
      seenOff: false,
      ...(done === 'stepped-back' ? { steppedBack: true } : {}),
    },
    effects: [...effects, 'confirm-stopped'],
  };
}

function whileStopping(state: GuardState & { status: 'stopping' }, input: GuardInput): Step {
  const { decision } = state;
  switch (input.type) {
    case 'off-confirmed':
      return {
        state: { status: 'stopped', since: input.at, decision, confirmedBy: 'read-back', seenOff: false },
        effects: ['confirm-stopped'],
      };
    case 'stepped-back':
      return {
        state: {
          status: 'stopped',
          since: input.at,
          decision,
          confirmedBy: 'read-back',
          seenOff: false,
          steppedBack: true,
        },
        effects: ['confirm-stopped'],
      };
    case 'off-failed': {
      const { failure } = input;
      const { since, reported = [] } = state;
      // An outage of hours is one piece of news, not one for each attempt.
      if (reported.includes(failure.code)) return stay({ ...state, failure });
      return {
        state: { status: 'stopping', since, decision, failure, reported: [...reported, failure.code] },
        effects: failure.requiresAction ? ['tell-failure', 'ask-person'] : ['tell-failure'],
      };
    }
    case 'definition':
      // Before a failure, the guard's own request is under way and its read-back will tell.
      if (input.enabled || state.failure === undefined) return stay(state);
      return {
        state: { status: 'stopped', since: input.at, decision, confirmedBy: 'definition', seenOff: true },
        effects: ['confirm-stopped'],
      };
    case 'turned-on-since':
    case 'fleet-released':
      return reArm(input.at);
    default:
      return stay(state);
  }
}

function whileStopped(state: GuardState & { status: 'stopped' }, input: GuardInput): Step {
  switch (input.type) {
    case 'definition':
      if (!input.enabled) return stay(state.seenOff ? state : { ...state, seenOff: true });
      if (state.steppedBack && input.rolloutPercentage !== state.decision.rolloutPercentage)
        return reArm(input.at, state.decision.rolloutPercentage);
      // Until the provider has seen the flag off, `on` is only old news from before the stop.
      return state.seenOff ? reArm(input.at) : stay(state);
    case 'flag-read': {
      if (!input.enabled) return stay(state);
      if (!state.steppedBack) return reArm(input.at);
      // After a step back, `on` is what the guard left. The percentage of before is a person's: Unleash had taken the lower one
      // before this was asked. No definition would tell, if the provider has never seen the lower one.
      const { rolloutPercentage: from } = state.decision;
      return input.rolloutPercentage === from ? reArm(input.at, from) : stay(state);
    }
    case 'fleet-released':
      // After a step back, this process must see the lower percentage itself before it serves the new path again.
      return state.steppedBack ? stay(state) : reArm(input.at);
    default:
      return stay(state);
  }
}

function reArm(at: number, steppedBackFrom?: number): Step {
  return { state: initialState(at, steppedBackFrom), effects: ['re-arm'] };
}

/** Puts breaches into words and numbers. Pure; the caller brings the identifier. */
export function makeDecision(input: {
  readonly id: string;
  readonly dryRun: boolean;
  readonly breaches: readonly Verdict[];
  readonly snapshot: Snapshot;
  readonly facts: FlagFacts | undefined;
  readonly stages: readonly Stage[];
  readonly onRollback: 'disable' | 'previous-stage';
}): Decision {
  const { breaches, snapshot, facts, stages, onRollback } = input;
  const before = percentageBefore(stages, facts?.rolloutPercentage);
  const toPercentage = onRollback === 'previous-stage' ? before : undefined;
  return {
    id: input.id,
    flagKey: snapshot.flagKey,
    ...(toPercentage === undefined ? { action: 'stop' } : { action: 'step-back', toPercentage }),
    dryRun: input.dryRun,
    at: snapshot.at,
    epoch: snapshot.epoch,
    rolloutPercentage: facts?.rolloutPercentage,
    verdicts: breaches,
    counts: Object.fromEntries(ARMS.map((arm) => [arm, countsOf(snapshot.total[arm])])) as Record<
      Arm,
      ArmCounts
    >,
    reason: breaches.map((verdict) => verdict.message).join(' '),
  };
}

function countsOf(counts: ArmCounts): ArmCounts {
  const { successes, failures, expected, aborted, critical, fallbacks, retried, complaints } = counts;
  return { successes, failures, expected, aborted, critical, fallbacks, retried, complaints };
}
