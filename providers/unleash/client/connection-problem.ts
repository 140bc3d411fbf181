import { explainFailure } from '../../../src/support/connection/connection-advice.js';

/** What an `error` or `warn` event of unleash-client means for the connection. */
export interface Problem {
  /**
   * `refused`: Unleash does not accept the token, and unleash-client has stopped polling. `lost`: a poll failed, the
   * next one may succeed. `other`: nothing to do with the connection.
   */
  readonly kind: 'refused' | 'lost' | 'other';
  /** Without credentials. */
  readonly message: string;
}

/** How unleash-client 6 begins the message of an error of its repository; other errors are of its metrics. */
const REPOSITORY_ERROR = 'Unleash Repository error: ';

/** Its warnings about a failed poll: a status (404, 429, 5xx), or a connection that was reset. */
const FAILED_POLL = /\bresponded .*Backing off$/;
const RESET = 'Socket keep alive error';

/** A definition that does not have the right form; the poll that brought it succeeded. */
const MALFORMED_FLAG = /^feature\.\w+ should be an? /;

/** Open-source Unleash, and older versions, have no deltas. */
const NO_DELTAS = /\/client\/delta\b.* responded .*404/;
const WITHOUT_DELTAS =
  "This Unleash sends no deltas: leave out the option experimentalMode, or its format 'delta'.";

/** An answer that unleash-client cannot read, which is the rest of it. */
const UNREADABLE = /^(Client features was neither |Invalid API response: |invalid json response body )/;
const UNEXPECTED =
  'Unleash answered with something unexpected, which has no flags. Check that the URL is that of Unleash itself and that its version is ' +
  'supported.';

/** What a message quotes of others is cut. */
const LONGEST_MESSAGE = 500;

const REFUSED = /\bresponded (401|403)\b/;

/**
 * Reads an event of unleash-client 6, which reports failed polls, failed metrics, unreadable backups and malformed flags
 * all through the same two events; only their text differs.
 *
 * @param advice - What else to check when Unleash does not answer as it should.
 */
export function connectionProblem(event: 'error' | 'warn', subject: unknown, advice?: string): Problem {
  const problem = read(event, subject);
  const hint = NO_DELTAS.test(problem.message) ? WITHOUT_DELTAS : advice;
  if (hint === undefined || problem.kind === 'other') return problem;
  return { ...problem, message: `${problem.message} ${hint}` };
}

function read(event: 'error' | 'warn', subject: unknown): Problem {
  const message = cut(withoutCredentials(messageOf(subject)));
  if (event === 'warn') {
    if (message.startsWith(RESET)) return { kind: 'lost', message: 'the connection was reset (ECONNRESET)' };
    return { kind: typeof subject === 'string' && FAILED_POLL.test(subject) ? 'lost' : 'other', message };
  }
  if (!message.startsWith(REPOSITORY_ERROR)) return { kind: 'other', message };
  const detail = message.slice(REPOSITORY_ERROR.length);
  const status = REFUSED.exec(detail)?.[1];
  if (status !== undefined) return { kind: 'refused', message: tokenNeeded(status) };
  if (UNREADABLE.test(detail) || isFaultOfReader(subject)) return { kind: 'lost', message: UNEXPECTED };
  const concernsData = MALFORMED_FLAG.test(detail) || isFileError(subject);
  const { help } = explainFailure(subject);
  return {
    kind: concernsData ? 'other' : 'lost',
    message: help === undefined ? detail : `${detail}. ${help}`,
  };
}

const TOKEN_FAULTS: Readonly<Record<string, string>> = {
  401: 'wrong, deleted or expired',
  403: 'of another kind',
};

function tokenNeeded(status: string): string {
  return (
    `Unleash refused the token of the provider (${status}): it is ${TOKEN_FAULTS[status]}. It needs a backend token, also called client token, of the ` +
    'environment whose flags it evaluates ("project:environment.…", in the header Authorization), not an admin, ' +
    'personal or frontend token. The provider tries again, ever more seldom.'
  );
}

/** The backup file could not be written or read: errors of the file system carry a path. */
function isFileError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'path' in error && 'syscall' in error;
}

/** unleash-client fell over an answer of another form. */
function isFaultOfReader(error: unknown): boolean {
  return error instanceof TypeError && !('code' in error);
}

function messageOf(subject: unknown): string {
  return subject instanceof Error ? subject.message : String(subject);
}

/** Hides user and password in a URL. */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/\s@]*@/g, '//…@');
}

function cut(text: string): string {
  return text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE)}…` : text;
}
