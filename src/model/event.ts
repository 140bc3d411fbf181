import type { GuardState, StopFailure } from '../guard/decide/decide.js';
import type { Arm, Attributes, Decision, Verdict } from './flow.js';
import type { StageProgress } from './stage.js';

/**
 * What a guard tells: to the audit log, to its logger and to listeners, in the same words.
 * `at` is milliseconds since 1970.
 */
export type GuardEvent =
  /** The guard watches; `status` is what the journal of an earlier run left behind. */
  | {
      readonly type: 'started';
      readonly at: number;
      readonly epoch: number;
      readonly status: GuardState['status'];
    }
  /** The rollout changed in Unleash: another percentage, strategy, or on/off. */
  | {
      readonly type: 'rollout-changed';
      readonly at: number;
      readonly epoch: number;
      readonly enabled: boolean;
      readonly rolloutPercentage: number | undefined;
    }
  /** Triggers breached: why, with the evidence. In a dry run nothing follows. */
  | {
      readonly type: 'decided';
      readonly at: number;
      readonly decision: Decision;
      /** Who decided, when it was another process of the fleet. */
      readonly by?: 'fleet' | undefined;
    }
  /** The store that the fleet shares went away, and why, or came back. */
  | { readonly type: 'fleet-connection'; readonly at: number; readonly problem: string | undefined }
  /** This process answers `false` from now on. */
  | { readonly type: 'stopped-here'; readonly at: number; readonly decisionId: string }
  /** A request to Unleash failed; the guard tries again. Told once per stop and code. */
  | {
      readonly type: 'stop-failed';
      readonly at: number;
      readonly decisionId: string;
      readonly failure: StopFailure;
    }
  /** Only a person can finish the stop: the message says how. Told once per stop and cause. */
  | {
      readonly type: 'action-required';
      readonly at: number;
      readonly decisionId: string;
      readonly message: string;
    }
  /** The flag is off in Unleash. */
  | {
      readonly type: 'stopped';
      readonly at: number;
      readonly decisionId: string;
      readonly confirmedBy: 'read-back' | 'definition' | 'fleet';
    }
  /** The guard went back to the percentage of the stage before; it watches again when the provider has seen that. */
  | {
      readonly type: 'stepped-back';
      readonly at: number;
      readonly decisionId: string;
      readonly from: number | undefined;
      readonly to: number | undefined;
    }
  /** Who turned the flag off or on, from Unleash's own history. */
  | {
      readonly type: 'unleash-history';
      readonly at: number;
      readonly change: 'off' | 'on';
      readonly by: string;
      readonly changedAt: number;
    }
  /** A person turned the flag on again after a stop, or a step back has arrived: a new epoch, with empty windows. */
  | { readonly type: 're-armed'; readonly at: number; readonly epoch: number }
  /** A stage began, or came to another status: `met` says what to do in Unleash. */
  | { readonly type: 'stage'; readonly at: number; readonly epoch: number; readonly progress: StageProgress }
  /** The guard moved the percentage in Unleash, because a stage was met and `advance` is `automatic`. */
  | {
      readonly type: 'advanced';
      readonly at: number;
      readonly epoch: number;
      readonly from: number;
      readonly to: number;
    }
  /** A review's trigger breached: a person should look. Told once until it is closed. */
  | { readonly type: 'review-opened'; readonly at: number; readonly epoch: number; readonly verdict: Verdict }
  /** The reason for the review is gone. */
  | { readonly type: 'review-closed'; readonly at: number; readonly epoch: number; readonly verdict: Verdict }
  /** A user complained who got this arm in this epoch. */
  | {
      readonly type: 'complaint';
      readonly at: number;
      readonly epoch: number;
      readonly arm: Arm;
      readonly attributes: Attributes | undefined;
    }
  /** Something beside the stop itself does not work: the folder, a listener, an option's function. Told once each. */
  | { readonly type: 'fault'; readonly at: number; readonly what: string; readonly message: string }
  /** `guard.stop()` was called. */
  | { readonly type: 'closed'; readonly at: number };

/** Receives a guard's events. What it throws is reported and goes no further. */
export type GuardListener = (event: GuardEvent) => void;
