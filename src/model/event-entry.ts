import type { GuardEvent } from './event.js';
import type { Arm, Decision, Verdict } from './shapes.js';
import type { StageProgress } from './stage.js';
import type { GuardState, StopFailure } from './state.js';

/** `critical`: an operator must act now. `warning`: an operator should act soon. `info`: nothing to do. */
export type NotificationSeverity = 'critical' | 'warning' | 'info';

/** A figure beside a notification's text, for example `Rollout: 10 %`. */
export interface NotificationFact {
  /** What the figure is, for example `Rollout`. */
  readonly name: string;
  /** The figure with its unit, for example `10 %`. */
  readonly value: string;
}

/** What a critical notification opens, and what resolves it, of one flag in one environment. */
export interface EventIncident {
  /** The same when it is opened and when it is resolved. */
  readonly key: string;
  readonly status: 'open' | 'resolved';
  /** It ends with the guard as well: the guard that runs next finds out whether its cause persists. @default false */
  readonly endsWithGuard?: boolean;
  /** Each process of a fleet has its own. @default false */
  readonly isOfProcess?: boolean;
}

/** The text of a notification. */
export interface EventNotification {
  readonly severity: NotificationSeverity;
  /** A few words, for example `async-upload is being turned off`. */
  readonly title: string;
  /** One or a few sentences: what happened, and what to do. */
  readonly message: string;
  readonly facts?: readonly NotificationFact[];
  /** Notifications of one event type and key are repetitions of one another. */
  readonly key: string;
  /** Whether a repetition is sent after a while. @default false */
  readonly repeats?: boolean;
  /** Each critical notification opens one. */
  readonly incident?: EventIncident | undefined;
}

/** What became of a decision; a field is absent until it happens. */
export interface DecisionProgress {
  /** When the guard's process served the control only, milliseconds since 1970. */
  readonly stoppedHereAt?: number | undefined;
  /** When the flag was off in Unleash, milliseconds since 1970. */
  readonly stoppedInUnleashAt?: number | undefined;
  /** How that is known: the flag was read back, its definition came, a process of the fleet said so, or Unleash no longer has the flag. */
  readonly confirmedBy?: 'read-back' | 'definition' | 'fleet' | 'removed' | undefined;
  /** When the rollout was back at the percentage of the stage before, instead of off. */
  readonly steppedBackAt?: number | undefined;
  /** When it ceased to apply, because of another decision or of the fleet, and not because of an operator. */
  readonly supersededAt?: number | undefined;
  /** The decision that applies in its place; undefined when the fleet refused it as too late. */
  readonly replacedBy?: string | undefined;
  /** What only an operator can do. */
  readonly actionRequired?: string | undefined;
  /** Who turned the flag off, as Unleash's history names it. */
  readonly turnedOffBy?: string | undefined;
  /** When the guard was armed again: an operator turned the flag on, or the step back arrived. */
  readonly reArmedAt?: number | undefined;
  /** Who turned the flag on again, as Unleash's history names it. */
  readonly turnedOnBy?: string | undefined;
}

/** A request to Unleash that did not turn the flag off. */
export interface DecisionFailure extends Pick<StopFailure, 'code' | 'message'> {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What Unleash showed from some time on. */
export interface RolloutChange {
  readonly at: number;
  readonly epoch: number;
  readonly enabled: boolean;
  /** 0–100; undefined when no single percentage described the strategies. */
  readonly percentage: number | undefined;
}

/** Who closed a review, and why. */
export interface Acknowledgement {
  readonly by: string;
  readonly reason?: string | undefined;
}

/** Where an event stands in the report, and what it adds there. */
export type ReportPlace =
  | { readonly in: 'rollout'; readonly change: RolloutChange }
  | { readonly in: 'stages'; readonly epoch: number; readonly progress: StageProgress }
  | { readonly in: 'decisions'; readonly decision: Decision }
  | {
      readonly in: 'decision';
      /** The decision's id. */
      readonly id: string;
      readonly progress: DecisionProgress;
      readonly failure?: DecisionFailure | undefined;
    }
  | { readonly in: 'reviews'; readonly epoch: number; readonly verdict: Verdict }
  /** The end of a trigger's review; `acknowledged`: by whom, and why. */
  | { readonly in: 'review'; readonly trigger: string; readonly acknowledged?: Acknowledgement }
  | { readonly in: 'complaints'; readonly arm: Arm };

/** What the log, the notifiers, the report and the status make of one event type. */
export interface EventEntry<Event extends GuardEvent> {
  readonly log: (event: Event) => { readonly level: 'info' | 'warn' | 'error'; readonly line: string };
  /** Absent or undefined when nothing is sent. */
  readonly notification?: (event: Event, flagKey: string) => EventNotification | undefined;
  /** Absent or undefined for an event that the report lists with its log line. */
  readonly report?: (event: Event) => ReportPlace | undefined;
  /** Begins or ends something that keeps the guard from its work; one of a kind is open at a time. */
  readonly problem?: { readonly kind: 'admin' | 'token' | 'flag'; readonly isOpen: boolean };
  /** The guard's state after it; absent or undefined when the event leaves the state as it is. */
  readonly state?: (event: Event) => GuardState['status'] | 'closed' | undefined;
}
