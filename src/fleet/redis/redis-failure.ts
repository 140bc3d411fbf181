import { messageOf } from '../../support/async/callbacks.js';
import { isConfigError } from '../../support/config-error.js';
import { DeadlineError } from '../../support/deadline.js';
import { FleetError, type FleetErrorCode, isFleetError } from '../fleet-link.js';

/** What an error of Redis means, by its first word. */
const FAILURES: Readonly<Record<string, readonly [FleetErrorCode, string]>> = {
  WRONGPASS: ['UNAUTHENTICATED', 'The user name or password for Redis is wrong.'],
  NOAUTH: ['UNAUTHENTICATED', 'Redis requires a password, and none was given.'],
  NOPERM: [
    'FORBIDDEN',
    'The Redis user may not run what the guard needs; see the list of commands in docs/fleet.md.',
  ],
  WRONGTYPE: [
    'FOREIGN_DATA',
    "Redis has a key of another type under the guard's names: give RedisOutcomeStore another prefix, or delete the key.",
  ],
  OOM: ['UNAVAILABLE', 'Redis is out of memory and accepts no writes.'],
  READONLY: ['UNAVAILABLE', 'Redis is a replica and accepts no writes.'],
  MISCONF: ['UNAVAILABLE', 'Redis cannot save to its disk and accepts no writes.'],
  LOADING: ['UNAVAILABLE', 'Redis is still loading its data.'],
  CLUSTERDOWN: ['UNAVAILABLE', 'The Redis cluster is down.'],
};

/** Describes a failure of Redis; never with the URL, which contains the password. */
export function redisFailure(error: unknown): FleetError {
  if (isFleetError(error)) return error;
  if (isConfigError(error)) return new FleetError('INVALID_CONFIG', error.message, error);
  if (error instanceof DeadlineError) return new FleetError('TIMEOUT', `Redis ${error.message}.`, error);
  const text = messageOf(error);
  for (const [word, [code, message]] of Object.entries(FAILURES)) {
    if (mentions(text, word) || (word === 'NOPERM' && text.includes("script can't run this command")))
      return new FleetError(code, message, error);
  }
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  const detail = /^[A-Z]+ /.test(text) ? `: ${text}` : code;
  return new FleetError('UNREACHABLE', `Redis cannot be reached or does not reply${detail}.`, error);
}

/** Errors within a script have the reason inside their text. */
function mentions(text: string, word: string): boolean {
  return text.startsWith(`${word} `) || text.includes(` ${word} `) || text.includes(`-${word} `);
}
