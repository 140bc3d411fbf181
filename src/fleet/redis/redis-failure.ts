import { isConfigError } from '../../support/config-error.js';
import { FleetError, isFleetError } from '../fleet-link.js';

/** What Redis answers when only a person can help, by the first word of its error, and what that person is told. */
const NEEDS_PERSON: Readonly<Record<string, string>> = {
  WRONGPASS: 'The user name or password for Redis is wrong.',
  NOAUTH: 'Redis wants a password, and none was given.',
  NOPERM: 'The Redis user may not run what the guard needs; see the list of commands in docs/fleet.md.',
  WRONGTYPE:
    "Redis holds a key of another type under the guard's names: give RedisOutcomeStore another prefix, or delete the key.",
};

/** What Redis answers when it may be mended without the guard. */
const PASSING: Readonly<Record<string, string>> = {
  OOM: 'Redis is out of memory and takes no writes.',
  READONLY: 'Redis is a replica and takes no writes.',
  MISCONF: 'Redis cannot save to its disk and takes no writes.',
  LOADING: 'Redis is still loading its data.',
  CLUSTERDOWN: 'The Redis cluster is down.',
};

/** A failure of Redis in words; never with the URL, which holds the password. */
export function redisFailure(error: unknown): FleetError {
  if (isFleetError(error)) return error;
  if (isConfigError(error)) return new FleetError(error.message, { requiresAction: true, cause: error });
  const text = error instanceof Error ? error.message : String(error);
  for (const [word, message] of Object.entries(NEEDS_PERSON)) {
    if (mentions(text, word)) return new FleetError(message, { requiresAction: true, cause: error });
  }
  for (const [word, message] of Object.entries(PASSING)) {
    if (mentions(text, word)) return new FleetError(message, { requiresAction: false, cause: error });
  }
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  const detail = /^[A-Z]+ /.test(text) ? `: ${text}` : code;
  return new FleetError(`Redis cannot be reached or does not answer${detail}.`, {
    requiresAction: false,
    cause: error,
  });
}

/** Errors within a script carry the reason inside their text. */
function mentions(text: string, word: string): boolean {
  return text.startsWith(`${word} `) || text.includes(` ${word} `) || text.includes(`-${word} `);
}
