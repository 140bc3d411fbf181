import {
  countOf,
  NEXT_STEP,
  notOffYet,
  plainReason,
  whatFollows,
  whySuperseded,
} from '../support/wording.js';
import type { GuardEvent, GuardEventOf } from './event.js';
import type { EventEntry } from './event-entry.js';
import {
  actionOf,
  decisionIncident,
  dryRunOf,
  endedOf,
  error,
  factOf,
  hasNoEvent,
  info,
  ofDecision,
  percent,
  REMOVED,
  span,
  toggleText,
  warn,
} from './event-words.js';
import { CONTROL_EVENTS } from './words/control-events.js';
import { REVIEW_EVENTS } from './words/review-events.js';
import { WATCH_EVENTS } from './words/watch-events.js';

/** One entry for each event type: a missing or a surplus one does not compile. */
export type EventTable = { readonly [Type in GuardEvent['type']]: EventEntry<GuardEventOf<Type>> };

/** What the logger, the notifiers, the report and telemetry make of each event. */
export const EVENT_TABLE: EventTable = {
  ...CONTROL_EVENTS,
  ...REVIEW_EVENTS,
  ...WATCH_EVENTS,

  started: {
    log: ({ epoch, status }) => info(`The guard has started (epoch ${epoch}, ${status}).`),
    state: () => 'armed',
  },

  health: {
    log: (event) =>
      event.status === 'ok'
        ? info(`The guard is no longer blind. ${endedOf(event)}`)
        : error(
            `The guard is blind: ${event.reasons.map(({ code, message }) => `${code}: ${message}`).join(' ')}`,
          ),
    notification: (event, flagKey) => {
      const { at, status, began } = event;
      const key = String(at);
      const [reasons, ended] = [event.reasons.filter(hasNoEvent), event.ended.filter(hasNoEvent)];
      if (reasons.some(({ code }) => began.includes(code))) {
        return {
          key,
          severity: 'critical',
          title: `${flagKey}: the guard is blind`,
          message: reasons.map(({ message }) => message).join(' '),
          // What has just begun has no length: the message has that of a freeze.
          facts: reasons
            .filter(({ since }) => at - since >= 1_000)
            .map(({ code, since }) => ({ name: code, value: `for ${span(at - since)}` })),
          incident: { key: 'blind', status: 'open', endsWithGuard: true, isOfProcess: true },
        };
      }
      // A reason less is no message while another one remains.
      if (ended.length === 0 || reasons.length > 0) return undefined;
      const title = `${flagKey}: the guard is ${status === 'ok' ? 'no longer' : 'still'} blind`;
      const rest = status === 'ok' ? '' : ` Still: ${event.reasons.map(({ code }) => code).join(', ')}.`;
      return {
        key,
        severity: 'info',
        title,
        message: `${endedOf({ at, ended })}${rest}`,
        incident: { key: 'blind', status: 'resolved', isOfProcess: true },
      };
    },
  },

  'rollout-changed': {
    log: ({ enabled, rolloutPercentage }) => {
      const where =
        rolloutPercentage === undefined ? 'on, with no single percentage' : `on at ${rolloutPercentage} %`;
      return info(`The rollout changed in Unleash: the flag is ${enabled ? where : 'off'}.`);
    },
    report: ({ at, epoch, enabled, rolloutPercentage: percentage }) => ({
      in: 'rollout',
      change: { at, epoch, enabled, percentage },
    }),
  },

  decided: {
    log: ({ decision }) =>
      decision.dryRun
        ? warn(`${dryRunOf(decision)}, the flag would be ${actionOf(decision)}: ${decision.reason}`)
        : error(`The flag is being ${actionOf(decision)}: ${decision.reason}`),
    notification: ({ decision }, flagKey) => {
      const { id, dryRun, rolloutPercentage, verdicts } = decision;
      const reason = plainReason(decision);
      const rollout =
        rolloutPercentage === undefined ? [] : [{ name: 'Rollout', value: `${rolloutPercentage} %` }];
      return {
        key: id,
        severity: dryRun ? 'warning' : 'critical',
        title: dryRun
          ? `${flagKey} would be ${actionOf(decision)} (dry run)`
          : `${flagKey} is being ${actionOf(decision)}`,
        message: dryRun ? `${reason} ${dryRunOf(decision)}: nothing was changed.` : reason,
        facts: [...rollout, ...verdicts.map(factOf)],
        incident: dryRun ? undefined : decisionIncident(id, 'open'),
      };
    },
    report: ({ decision }) => ({ in: 'decisions', decision }),
    state: ({ decision }) => (decision.dryRun ? undefined : 'stopping'),
  },

  superseded: {
    log: ({ replacedBy }) => info(`The decision before no longer applies. ${whySuperseded(replacedBy)}`),
    notification: ({ decisionId, replacedBy }, flagKey) => ({
      key: decisionId,
      severity: 'info',
      title: `${flagKey}: an earlier decision no longer applies`,
      message: `${whySuperseded(replacedBy)} ${replacedBy === undefined ? 'Its process serves the flag as it is in Unleash.' : 'It has notifications of its own.'}`,
      incident: decisionIncident(decisionId, 'resolved'),
    }),
    report: ({ at, decisionId, replacedBy }) => ofDecision(decisionId, { supersededAt: at, replacedBy }),
  },

  'fleet-connection': {
    log: ({ problem }) =>
      problem === undefined
        ? info("The fleet's shared store answers again.")
        : warn(
            `The fleet's shared store is unreachable, this process decides by its own outcomes: ${problem}`,
          ),
  },

  'stopped-here': {
    log: () => warn('The flag is off in this process.'),
    report: ({ at, decisionId }) => ofDecision(decisionId, { stoppedHereAt: at }),
    state: () => 'stopping',
  },

  'stop-failed': {
    log: ({ failure }) => warn(notOffYet(failure)),
    notification: ({ decisionId, failure }, flagKey) =>
      // What only an operator can finish is reported as `action-required`.
      failure.requiresAction
        ? undefined
        : {
            key: decisionId,
            repeats: true,
            severity: 'warning',
            title: `${flagKey} is not off in Unleash yet`,
            message: `The process that decided already serves the control. ${whatFollows(failure)}`,
          },
    report: ({ at, decisionId, failure: { code, message } }) =>
      ofDecision(decisionId, {}, { at, code, message }),
  },

  'action-required': {
    log: ({ message }) => error(`Action required: ${message}`),
    notification: ({ decisionId, message }, flagKey) => ({
      key: decisionId,
      severity: 'critical',
      title: `${flagKey}: action required to turn it off`,
      message,
      incident: decisionIncident(decisionId, 'open'),
    }),
    report: ({ decisionId, message }) => ofDecision(decisionId, { actionRequired: message }),
  },

  stopped: {
    log: ({ confirmedBy }) =>
      warn(confirmedBy === 'removed' ? `The flag is off. ${REMOVED}` : 'The flag is off in Unleash.'),
    notification: ({ decisionId, confirmedBy }, flagKey) => ({
      key: decisionId,
      severity: 'info',
      title: `${flagKey} is off in Unleash`,
      message: `All users get the control. ${confirmedBy === 'removed' ? REMOVED : NEXT_STEP.stopped}`,
      // Nobody turns on what is gone.
      incident: confirmedBy === 'removed' ? decisionIncident(decisionId, 'resolved') : undefined,
    }),
    report: ({ at, decisionId, confirmedBy }) =>
      ofDecision(decisionId, { stoppedInUnleashAt: at, confirmedBy }),
    state: () => 'stopped',
  },

  'stepped-back': {
    log: ({ from, to }) => warn(`The rollout is back from ${percent(from)} to ${percent(to)} in Unleash.`),
    notification: ({ decisionId, from, to }, flagKey) => ({
      key: decisionId,
      severity: 'info',
      title: `${flagKey} is back at ${percent(to)} in Unleash`,
      message: `It was at ${percent(from)}. ${NEXT_STEP.steppedBack}`,
    }),
    report: ({ at, decisionId }) => ofDecision(decisionId, { steppedBackAt: at }),
    state: () => 'stopped',
  },

  toggled: {
    log: (event) => info(toggleText(event)),
    notification: (event, flagKey) =>
      // Of a stop, `stopped` and `re-armed` notify.
      event.decisionId !== undefined
        ? undefined
        : {
            key: `${event.change}-${event.at}`,
            severity: 'info',
            title: `${flagKey} was turned ${event.change} in Unleash`,
            message:
              event.change === 'off'
                ? `${toggleText(event)} This guard did not: all users get the control. Turning the flag on again starts a new rollout.`
                : `${toggleText(event)} A new rollout begins, with empty windows.`,
          },
    report: ({ change, by, decisionId }) =>
      decisionId === undefined
        ? undefined
        : ofDecision(decisionId, change === 'off' ? { turnedOffBy: by } : { turnedOnBy: by }),
  },

  're-armed': {
    log: () => info('The guard is armed again, with empty windows.'),
    notification: ({ epoch, decisionId, steppedBack }, flagKey) => ({
      key: String(epoch),
      severity: 'info',
      title: `${flagKey}: the guard is armed again`,
      message: `${steppedBack ? 'The step back has arrived.' : 'An operator turned the flag on again.'} A new rollout begins, with empty windows.`,
      incident: decisionIncident(decisionId, 'resolved'),
    }),
    report: ({ at, decisionId }) => ofDecision(decisionId, { reArmedAt: at }),
    state: () => 'armed',
  },

  stage: {
    log: ({ progress: { status, stage, message } }) => {
      const line =
        status === 'met' || status === 'missed'
          ? `The stage at ${stage.percentage} % is ${status}: ${message}`
          : message;
      return status === 'missed' ? warn(line) : info(line);
    },
    notification: ({ epoch, progress: { status, stage, message, blind } }, flagKey) =>
      status === 'collecting'
        ? undefined
        : {
            key: `${epoch}-${stage.percentage}-${status}${blind === undefined ? '' : '-blind'}`,
            // A rate that swings around its threshold meets and misses a stage many times.
            repeats: true,
            severity: status === 'met' && blind === undefined ? 'info' : 'warning',
            title: `${flagKey}: the stage at ${stage.percentage} % is ${status}`,
            message,
          },
    report: ({ epoch, progress }) => ({ in: 'stages', epoch, progress }),
  },

  complaint: {
    log: ({ arm }) => info(`A user of the ${arm} complained.`),
    report: ({ arm }) => ({ in: 'complaints', arm }),
  },

  fault: {
    log: ({ what, message, count = 1 }) =>
      error(
        `Fault (${what}): ${message}${count === 1 ? '' : ` (${count} times since it was reported last)`}`,
      ),
  },

  recovered: {
    log: ({ what, faults }) => info(`Works again (${what}), after ${countOf(faults, 'fault')}.`),
  },

  'folder-changed': {
    log: ({ folder, reason }) =>
      folder === undefined
        ? error(`The guard keeps nothing on disk: ${reason}`)
        : info(`The guard keeps its files in ${folder}: ${reason}`),
  },

  'stop-taken-over': {
    log: ({ folder }) => warn(`A stop that was not finished in ${folder} is finished by this process.`),
  },

  closed: {
    log: () => info('The guard is closed: it no longer protects the flag.'),
    state: () => 'closed',
  },
};

/** The table's entry for an event. */
export function entryOf(event: GuardEvent): EventEntry<GuardEvent> {
  // The key and the entry have the same type, which the compiler cannot follow through an index.
  return EVENT_TABLE[event.type] as unknown as EventEntry<GuardEvent>;
}
