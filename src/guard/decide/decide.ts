import type { GuardEvent } from '../../model/event.js';
import { type Decision, isOfDryRunRules } from '../../model/shapes.js';
import type { GuardState, StopFailure } from '../../model/state.js';

type ArmedState = GuardState & { readonly status: 'armed' };
type StoppingState = GuardState & { readonly status: 'stopping' };
type StoppedState = GuardState & { readonly status: 'stopped' };

/** What happens to a guard. */
export type GuardInput = { readonly at: number } & (
  | {
      /** Triggers breached, or an operator asked for a stop. */
      readonly type: 'breached' | 'stop-requested';
      readonly decision: Decision;
    }
  | {
      /** The provider showed the flag's definition, or the flag was read through the admin API, which has no delay. */
      readonly type: 'definition' | 'flag-read';
      readonly enabled: boolean;
      /** Undefined when the flag has not exactly one gradual rollout. */
      readonly rolloutPercentage: number | undefined;
    }
  /** Unleash's history shows that an operator turned the flag on after the decision. */
  | { readonly type: 'turned-on-since' }
  | {
      /** Another process of the fleet shows that, or the stop never applied to the fleet. */
      readonly type: 'fleet-released';
      /** It did not, because it came too late. */
      readonly isRefused?: boolean;
    }
  /** Unleash accepted `off`, and showed it when it was read back; or it accepted the lower percentage of a `step-back`. */
  | { readonly type: 'stepped-back' }
  | {
      readonly type: 'off-confirmed';
      /** The flag was archived or deleted, so that no user gets it. */
      readonly isRemoved?: boolean;
    }
  /** Unleash did not accept `off`. */
  | { readonly type: 'off-failed'; readonly failure: StopFailure }
  | FleetStopped
);

/** A stop applies to the whole fleet. */
interface FleetStopped {
  readonly type: 'fleet-stopped';
  readonly decision: Decision;
  /** How it ended in Unleash; undefined before. */
  readonly done: 'off' | 'stepped-back' | undefined;
  /** Set when another process decided. */
  readonly by: 'fleet' | undefined;
}

/** What must be done after a step, with everything that doing it needs. Effects are performed in their order. */
export type Effect =
  /** Answer `false` in this process. */
  | { readonly type: 'override'; readonly decision: Decision }
  /** Stop the flag in every other process. */
  | { readonly type: 'stop-fleet'; readonly decision: Decision }
  /** Write the decision to the journal and the audit log. */
  | ({ readonly type: 'record-decision'; readonly at: number } & Pick<FleetStopped, 'decision' | 'by'>)
  | { readonly type: 'turn-off-in-unleash'; readonly decision: Decision }
  /** The flag is off in Unleash, or stepped back: report it, and share it with the fleet. */
  | { readonly type: 'confirm'; readonly stopped: StoppedState }
  | { readonly type: 'report-failure' | 'request-action' | 'report-end'; readonly event: GuardEvent }
  /** Remove the override and begin an epoch with empty windows. `decision` is the one that no longer applies. */
  | {
      readonly type: 're-arm';
      readonly at: number;
      readonly decision: Decision;
      readonly steppedBack: boolean;
    };

/** One step of the guard. */
export interface Step {
  readonly state: GuardState;
  readonly effects: readonly Effect[];
}

/** The state of a guard that has never decided anything, or that re-arms. */
export function initialState(at: number, steppedBackFrom?: number): ArmedState {
  return { status: 'armed', since: at, ...(steppedBackFrom === undefined ? {} : { steppedBackFrom }) };
}

/**
 * The state of an earlier run, for this run. What was reported then is reported again, because a new log has new readers. That
 * the flag was seen off is forgotten: a definition from a backup or bootstrap may be older than the stop. Pure.
 */
export function afterRestart(state: StoppingState | StoppedState): StoppingState | StoppedState {
  return state.status === 'stopping'
    ? { status: 'stopping', since: state.since, decision: state.decision }
    : { ...state, seenOff: false };
}

/**
 * The guard's whole policy: what it becomes, and what must be done, after one input. Pure.
 * The guard never turns a flag on. An operator who turns it on after a stop re-arms the guard.
 */
export function decide(state: GuardState, input: GuardInput): Step {
  if (input.type === 'fleet-stopped') return stoppedByFleet(state, input);
  if (input.type === 'stop-requested') return stopRequested(state, input.at, input.decision);
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

function breached(state: ArmedState, at: number, decision: Decision): Step {
  if (!decision.dryRun) return stopping(at, decision);
  // The other rules stay in force.
  if (isOfDryRunRules(decision)) return { state, effects: [recorded(at, decision)] };
  if (state.wouldHaveStopped?.epoch === decision.epoch) return stay(state);
  return {
    state: { status: 'armed', since: state.since, wouldHaveStopped: decision },
    effects: [recorded(at, decision)],
  };
}

/** An operator's stop replaces a step back, which leaves the flag on. In a dry run, the triggers stay in force after it. */
function stopRequested(state: GuardState, at: number, decision: Decision): Step {
  if (decision.dryRun) return { state, effects: [recorded(at, decision)] };
  const isOffAnyway = state.status !== 'armed' && state.decision.action === 'stop';
  return isOffAnyway ? stay(state) : stopping(at, decision, superseded(state, at, decision));
}

function stopping(at: number, decision: Decision, before: readonly Effect[] = []): Step {
  return {
    state: { status: 'stopping', since: at, decision },
    effects: [
      { type: 'override', decision },
      { type: 'stop-fleet', decision },
      recorded(at, decision),
      { type: 'turn-off-in-unleash', decision },
      ...before,
    ],
  };
}

function recorded(at: number, decision: Decision): Effect {
  return { type: 'record-decision', at, decision, by: undefined };
}

/** What was decided before no longer applies, and no operator has ended it. */
function superseded(state: GuardState, at: number, by: Decision | undefined): readonly Effect[] {
  if (state.status === 'armed') return [];
  const replaced = by === undefined ? {} : { replacedBy: by.id };
  const event: GuardEvent = { type: 'superseded', at, decisionId: state.decision.id, ...replaced };
  return [{ type: 'report-end', event }];
}

/** The fleet's stop applies here too, in place of one that was decided here at the same time. */
function stoppedByFleet(state: GuardState, { at, decision, done, by }: GuardInput & FleetStopped): Step {
  const isNew = state.status === 'armed' || state.decision.id !== decision.id;
  const effects: readonly Effect[] = isNew
    ? [
        { type: 'override', decision },
        { type: 'record-decision', at, decision, by },
        ...superseded(state, at, decision),
      ]
    : [];
  if (done === undefined) {
    return isNew ? { state: { status: 'stopping', since: at, decision }, effects } : stay(state);
  }
  if (!isNew && state.status === 'stopped') return stay(state);
  const stopped = { status: 'stopped', since: at, decision, confirmedBy: 'fleet', seenOff: false } as const;
  return confirmed(done === 'off' ? stopped : { ...stopped, steppedBack: true }, effects);
}

function whileStopping(state: StoppingState, input: GuardInput): Step {
  const { decision } = state;
  const stopped = { status: 'stopped', since: input.at, decision } as const;
  switch (input.type) {
    case 'off-confirmed':
      return confirmed({
        ...stopped,
        confirmedBy: input.isRemoved ? 'removed' : 'read-back',
        seenOff: false,
      });
    case 'stepped-back':
      return confirmed({ ...stopped, confirmedBy: 'read-back', seenOff: false, steppedBack: true });
    case 'off-failed':
      return failed(state, input.at, input.failure);
    case 'definition':
      // Before a failure, the guard's own request is under way, and its read-back confirms the stop.
      if (input.enabled || state.failure === undefined) return stay(state);
      return confirmed({ ...stopped, confirmedBy: 'definition', seenOff: true });
    case 'turned-on-since':
      return reArm(state, input.at);
    case 'fleet-released':
      return released(state, input);
    default:
      return stay(state);
  }
}

function confirmed(stopped: StoppedState, before: readonly Effect[] = []): Step {
  return { state: stopped, effects: [...before, { type: 'confirm', stopped }] };
}

function failed(state: StoppingState, at: number, failure: StopFailure): Step {
  const { since, decision, reported = [] } = state;
  const { code, message, requiresAction } = failure;
  // An outage of hours is reported once, not once for each attempt.
  if (reported.includes(code)) return stay({ ...state, failure });
  const decisionId = decision.id;
  const report: Effect = { type: 'report-failure', event: { type: 'stop-failed', at, decisionId, failure } };
  const required: GuardEvent = { type: 'action-required', at, decisionId, message };
  return {
    state: { status: 'stopping', since, decision, failure, reported: [...reported, code] },
    effects: requiresAction ? [report, { type: 'request-action', event: required }] : [report],
  };
}

function whileStopped(state: StoppedState, input: GuardInput): Step {
  switch (input.type) {
    case 'definition':
      if (!input.enabled) return stay(state.seenOff ? state : { ...state, seenOff: true });
      if (state.steppedBack && input.rolloutPercentage !== state.decision.rolloutPercentage)
        return reArm(state, input.at, state.decision.rolloutPercentage);
      // Until the provider has seen the flag off, `on` may be from before the stop.
      return state.seenOff ? reArm(state, input.at) : stay(state);
    case 'flag-read': {
      if (!input.enabled) return stay(state);
      if (!state.steppedBack) return reArm(state, input.at);
      // After a step back, `on` is what the guard left. The percentage from before was set by an operator, because Unleash had
      // accepted the lower one before this read. A provider that has never seen the lower one would not notice.
      const { rolloutPercentage: from } = state.decision;
      return input.rolloutPercentage === from ? reArm(state, input.at, from) : stay(state);
    }
    case 'fleet-released':
      // After a step back, this process must see the lower percentage itself before it serves the new path again.
      return state.steppedBack ? stay(state) : released(state, input);
    default:
      return stay(state);
  }
}

function released(
  state: StoppingState | StoppedState,
  { at, isRefused }: GuardInput & { type: 'fleet-released' },
) {
  const step = reArm(state, at);
  return isRefused ? { ...step, effects: [...superseded(state, at, undefined), ...step.effects] } : step;
}

function reArm(state: StoppingState | StoppedState, at: number, steppedBackFrom?: number): Step {
  const steppedBack = state.status === 'stopped' && state.steppedBack === true;
  return {
    state: initialState(at, steppedBackFrom),
    effects: [{ type: 're-arm', at, decision: state.decision, steppedBack }],
  };
}
