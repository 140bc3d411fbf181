import { formatDate } from '../../support/wording.js';
import type { GuardEvent, GuardEventOf } from '../event.js';
import type { EventEntry } from '../event-entry.js';
import { decisionIncident, error, info, warn } from '../event-words.js';

type WatchEvents = 'admin-unavailable' | 'admin-available' | 'token-expiring' | 'flag-missing' | 'flag-found';
type Words<Type extends GuardEvent['type']> = { readonly [Each in Type]: EventEntry<GuardEventOf<Each>> };

/** The entries of what is wrong with the admin token and with the flag. */
export const WATCH_EVENTS: Words<WatchEvents> = {
  'admin-unavailable': {
    log: ({ message }) => error(`The guard cannot turn the flag off in Unleash: ${message}`),
    problem: { kind: 'admin', isOpen: true },
    notification: ({ at, code, message }, flagKey) => ({
      key: `${code}-${at}`,
      severity: 'critical',
      title: `${flagKey}: the guard cannot turn it off in Unleash`,
      message: `The flag is as it was; a stop would fail. ${message}`,
      incident: { key: ADMIN_INCIDENT, status: 'open', endsWithGuard: true },
    }),
  },

  'admin-available': {
    log: () => info('The guard can turn the flag off in Unleash again.'),
    problem: { kind: 'admin', isOpen: false },
    notification: ({ at }, flagKey) => ({
      key: String(at),
      severity: 'info',
      title: `${flagKey}: the guard can turn it off in Unleash again`,
      message: 'Unleash accepts the admin token.',
      incident: { key: ADMIN_INCIDENT, status: 'resolved' },
    }),
  },

  'token-expiring': {
    problem: { kind: 'token', isOpen: true },
    log: (event) => (event.level === 'expired' ? error(expiryText(event)) : warn(expiryText(event))),
    notification: (event, flagKey) =>
      event.isRepeated
        ? undefined
        : {
            key: `${event.expiresAt}-${event.level}`,
            severity: event.level === 'expired' ? 'critical' : 'warning',
            title: `${flagKey}: the guard's admin token ${event.level === 'expired' ? 'has expired' : 'expires soon'}`,
            message: expiryText(event),
            incident: event.level === 'expired' ? { key: ADMIN_INCIDENT, status: 'open' } : undefined,
          },
  },

  'flag-missing': {
    problem: { kind: 'flag', isOpen: true },
    log: ({ reason, message }) => error(`${MISSING[reason]} ${message}`),
    notification: ({ at, reason, message, decisionId }, flagKey) => ({
      key: String(at),
      severity: 'warning',
      title: `${flagKey} is missing: there is nothing to guard`,
      message: `${MISSING[reason]} ${message}${decisionId === undefined ? '' : ` ${STOP_ENDS}`}`,
      incident: decisionId === undefined ? undefined : decisionIncident(decisionId, 'resolved'),
    }),
  },

  'flag-found': {
    problem: { kind: 'flag', isOpen: false },
    log: () => info('The flag is there again, and guarded.'),
    notification: ({ at }, flagKey) => ({
      key: String(at),
      severity: 'info',
      title: `${flagKey} is there again`,
      message: 'The guard protects it again.',
    }),
  },
};

/** That the guard could not turn the flag off: by whatever cause it is found, it ends when Unleash accepts the token. */
const ADMIN_INCIDENT = 'admin';

/** Of a stop, once its flag is no longer there. */
const STOP_ENDS = 'The stop that was in force here is over with it.';

const MISSING: Readonly<Record<GuardEventOf<'flag-missing'>['reason'], string>> = {
  'not-found': 'The flag is not there.',
  archived: 'The flag was archived.',
  deleted: 'The flag was deleted.',
  moved: 'The flag is in another project.',
  environment: 'The flag is not in this environment.',
  'not-received': 'The flag does not reach the service.',
};

function expiryText({ level, expiresAt, user, candidates }: GuardEventOf<'token-expiring'>): string {
  const date = formatDate(expiresAt);
  const what =
    level === 'expired'
      ? `The admin token expired on ${date}: the guard cannot turn the flag off in Unleash.`
      : `The admin token expires on ${date}: from then on, the guard cannot turn the flag off in Unleash.`;
  const others =
    candidates > 1
      ? ` It may be another of the ${candidates} tokens of ${user === undefined ? 'its user' : `"${user}"`}, which Unleash does not distinguish: give the guard a user of its own.`
      : '';
  return `${what} Create a new token and start the guard with it.${others}`;
}
