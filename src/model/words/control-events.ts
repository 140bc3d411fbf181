import { formatDate, formatDuration } from '../../support/wording.js';
import type { Control, ControlType } from '../control.js';
import type { GuardEvent, GuardEventOf } from '../event.js';
import type { EventEntry } from '../event-entry.js';
import { info, warn } from '../event-words.js';

/** By whom the guard holds a rollout that no operator has held. */
export const GUARD_ITSELF = 'rollout-guard';

/** What the names of the reviews of alerts begin with; no trigger's does. */
export const ALERT_PREFIX = 'alert:';

type ControlEvents =
  | 'advanced'
  | 'advance-waiting'
  | 'stage-overdue'
  | 'completed'
  | 'control'
  | 'alert'
  | 'mute-expired';
type Words<Type extends GuardEvent['type']> = { readonly [Each in Type]: EventEntry<GuardEventOf<Each>> };

/** What became of a request, in words without the reason: `ann has put automatic advance on hold`. */
const DONE: { readonly [Type in ControlType]: (control: Extract<Control, { type: Type }>) => string } = {
  stop: ({ by }) => `${by} has stopped the flag`,
  hold: ({ by }) => `${by} has put automatic advance on hold`,
  resume: ({ by }) => `${by} has resumed automatic advance`,
  advance: ({ by, force }) => `${by} has asked for the next stage${force ? ', met or not' : ''}`,
  acknowledge: ({ by, trigger }) => `${by} has acknowledged the review of ${trigger}`,
  mute: ({ by, trigger, forMs }) => `${by} has muted ${trigger} for ${formatDuration(forMs)}`,
  unmute: ({ by, trigger }) => `${by} has unmuted ${trigger}`,
};

/** What a request was, or would have done, in one sentence. */
export function describeControl(control: Control): string {
  const describe = DONE[control.type] as (control: Control) => string;
  const { reason = '' } = control;
  const text = reason === '' ? describe(control) : `${describe(control)}: ${reason.trim()}`;
  // What an operator wrote may end as a sentence does.
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** The entries of what operators ask for, and of what moves the rollout. */
export const CONTROL_EVENTS: Words<ControlEvents> = {
  advanced: {
    log: ({ from, to, by }) =>
      info(
        `The guard moved the rollout from ${from} % to ${to} % in Unleash${by ? `: ${by} asked for it` : ''}.`,
      ),
    notification: ({ epoch, from, to, by }, flagKey) => ({
      key: `${epoch}-${to}`,
      severity: 'info',
      title: `${flagKey} advanced to ${to} %`,
      message:
        by === undefined
          ? `The stage at ${from} % is met, and the guard moved the percentage in Unleash.`
          : `${by} asked for the next stage, and the guard moved the percentage from ${from} % in Unleash.`,
    }),
  },

  'advance-waiting': {
    log: ({ from, to, reason }) => info(`The rollout waits at ${from} % before ${to} %: ${reason}`),
  },

  'stage-overdue': {
    log: (event) => warn(overdueText(event)),
    notification: (event, flagKey) => ({
      key: `${event.epoch}-${event.progress.stage.percentage}`,
      severity: 'warning',
      title: `${flagKey}: the stage at ${event.progress.stage.percentage} % is overdue`,
      message: overdueText(event),
    }),
  },

  completed: {
    log: ({ percentage }) => info(`The rollout is complete: the last stage, at ${percentage} %, is met.`),
    notification: ({ epoch, percentage }, flagKey) => ({
      key: String(epoch),
      severity: 'info',
      title: `${flagKey}: the rollout is complete`,
      message: `The last stage, at ${percentage} %, is met. Remove the flag and the old path from the code, then archive the flag in Unleash. The guard protects it until then.`,
    }),
  },

  control: {
    log: ({ control, refused }) =>
      refused === undefined
        ? info(describeControl(control))
        : warn(`${control.by} asked for "${control.type}", which was refused: ${refused}`),
    notification: ({ at, control, refused }, flagKey) => {
      // What follows from these has a notification of its own.
      if (refused !== undefined || control.type === 'stop' || control.type === 'advance') return undefined;
      return {
        key: `${control.type}-${at}`,
        severity: control.type === 'mute' || control.by === GUARD_ITSELF ? 'warning' : 'info',
        title: `${flagKey}: ${TITLES[control.type]}`,
        message: describeControl(control),
      };
    },
    report: ({ control, refused }) => {
      if (control.type !== 'acknowledge' || refused !== undefined) return undefined;
      const { trigger, by, reason } = control;
      return { in: 'review', trigger, acknowledged: { by, reason } };
    },
  },

  // A review or a stop follows, which has a notification of its own.
  alert: {
    log: ({ alert: { by, trigger, isFiring, action, dryRun, reason } }) => {
      const name = trigger.slice(ALERT_PREFIX.length);
      if (!isFiring) return info(`The alert ${name} from ${by} is resolved.`);
      return warn(`An alert from ${by} fires (${action}${dryRun ? ', dry run' : ''}): ${reason}`);
    },
  },

  'mute-expired': {
    log: ({ trigger }) => info(`The mute of ${trigger} is over.`),
    notification: ({ at, trigger }, flagKey) => ({
      key: `${trigger}-${at}`,
      severity: 'info',
      title: `${flagKey}: the mute of ${trigger} is over`,
      message: 'From now on, the trigger acts again.',
    }),
  },
};

const TITLES: Readonly<Record<Exclude<ControlType, 'stop' | 'advance'>, string>> = {
  hold: 'automatic advance is on hold',
  resume: 'automatic advance is resumed',
  acknowledge: 'a review is acknowledged',
  mute: 'a trigger is muted',
  unmute: 'a trigger is unmuted',
};

function overdueText({ at, progress: { stage, elapsedMs, message } }: GuardEventOf<'stage-overdue'>): string {
  const since = formatDate(at - elapsedMs);
  const then =
    stage.onDeadline === 'hold' ? ' Automatic advance is on hold until an operator resumes it.' : '';
  return `The stage at ${stage.percentage} %, since ${since}, was not met within ${formatDuration(stage.deadlineMs ?? 0)}. ${message}${then}`;
}
