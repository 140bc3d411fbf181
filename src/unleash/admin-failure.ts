import { type HttpAnswer, type NoAnswerError, retryAfterMs } from '../support/connection/http.js';
import { parseJson } from '../support/json.js';
import { AdminError, type AdminErrorCode, type MissingAtUnleash, RETRYABLE } from './admin-error.js';
import { failureReply } from './admin-replies.js';

/** One request to the admin API, and what it is about. */
export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with `/api/admin/`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  /** What an operator can do instead of the request; absent when nothing is lost without it. */
  readonly byHand?: string;
}

/** The longest text of Unleash that a message quotes. */
const MAX_QUOTED_LENGTH = 300;

/**
 * The error for a reply that is not a success.
 *
 * @param body - The reply's body, without secrets.
 * @param now - What a `Retry-After` date is compared with.
 */
export function errorForReply(
  { status, headers }: HttpAnswer,
  body: string,
  request: AdminRequest,
  now: number,
): AdminError {
  const reply = replyOf(body);
  const error = (code: AdminErrorCode, what: string, help = '', missing?: MissingAtUnleash) => {
    const instead = RETRYABLE.has(code) ? afterAWhile(request) : byHand(request, reply);
    const sentences = [`${what} (${status} to ${nameOf(request)}).`, quote(reply.message), help, instead];
    return new AdminError(code, sentences.filter(Boolean).join(' '), {
      request: nameOf(request),
      status,
      retryAfterMs: retryAfterMs(headers.get('retry-after'), now),
      missing,
      byHand: instead,
    });
  };

  if (status === 401) {
    const help = 'Check that the admin token is complete, and that it was not deleted and has not expired.';
    return error('ADMIN_TOKEN', 'Unleash does not accept the admin token', help);
  }
  if (status === 403 && /skip_change_request|change.?request/i.test(reply.message)) {
    const help =
      `Changes of "${request.environment}" need a change request. Give the token the permission to skip change ` +
      'requests there, or apply one in the Unleash UI.';
    return error('ADMIN_CHANGE_REQUEST', 'Unleash requires a change request', help);
  }
  if (status === 403 && /different token type/i.test(reply.message)) {
    const help = 'It is a client or frontend token: use an admin token, or a personal access token.';
    return error('ADMIN_PERMISSION', 'Unleash does not let this token change flags', help);
  }
  // Unleash also replies 403 where one of its rules forbids the request to every token.
  if (status === 403 && !/OperationDenied|InvalidOperation/.test(reply.name)) {
    const help =
      `Give the token's user or role the permissions for project "${request.project}" and environment ` +
      `"${request.environment}" (to turn flags on and off, and to update them).`;
    return error('ADMIN_PERMISSION', 'The admin token lacks a permission', help);
  }
  if (status === 400 && reply.name === ARCHIVED) {
    const what = `Flag "${request.flagKey}" is archived in Unleash: no user gets it`;
    return error('ADMIN_NOT_FOUND', what, 'To roll it out, revive it.', 'flag');
  }
  if (status === 404) {
    // A request that is about no flag cannot miss one: this Unleash has no such address.
    const missing = request.flagKey === '' ? 'address' : missingIn(reply);
    return error('ADMIN_NOT_FOUND', ...NOT_FOUND[missing](request), missing);
  }
  if (status === 429) return error('ADMIN_RATE_LIMIT', 'Unleash limits the rate of requests');
  if (status === 408 || status >= 500)
    return error('ADMIN_UNAVAILABLE', 'Unleash cannot process the request');
  if (status >= 300 && status < 400) {
    const location = headers.get('location')?.replace(/[?#].*$/, '');
    const what = `The URL of Unleash redirects${location === undefined ? '' : ` to ${location}`}`;
    return error('ADMIN_RESPONSE', what, 'Set the URL to the address where Unleash itself answers.');
  }
  return error('ADMIN_RESPONSE', 'Unleash refused the request');
}

/** The error for a request that got no reply. */
export function errorForNoReply(
  { message, help, requiresAction }: NoAnswerError,
  request: AdminRequest,
): AdminError {
  const what = `Unleash does not answer (${message}, ${nameOf(request)}).`;
  const code = requiresAction ? 'ADMIN_CONNECTION' : 'ADMIN_UNAVAILABLE';
  const byHand = requiresAction ? request.byHand : afterAWhile(request);
  const sentences = [what, help, byHand];
  return new AdminError(code, sentences.filter(Boolean).join(' '), { request: nameOf(request), byHand });
}

/** The error for a reply that is longer than is read. `reason` has its size and the limit. */
export function errorForLongReply(reason: string, request: AdminRequest): AdminError {
  const help = 'Check that the URL is that of Unleash itself.';
  const { byHand } = request;
  const sentences = [`Unleash's reply cannot be used: ${reason} (${nameOf(request)}).`, help, byHand];
  return new AdminError('ADMIN_RESPONSE', sentences.filter(Boolean).join(' '), {
    request: nameOf(request),
    byHand,
  });
}

function nameOf({ method, path }: AdminRequest): string {
  return `${method} ${path}`;
}

/** What an operator can do instead: nothing for an archived flag, which no user gets, and for a moved one where it is now. */
function byHand({ byHand, project }: AdminRequest, { name, message }: FailureReply): string | undefined {
  if (name === ARCHIVED) return undefined;
  const movedTo = /with that name in project "([^"]+)"/.exec(message)?.[1];
  if (movedTo === undefined) return byHand;
  const at = (project: string) => `/projects/${encodeURIComponent(project)}/`;
  return byHand?.replace(at(project), () => at(movedTo));
}

function afterAWhile({ byHand }: AdminRequest): string | undefined {
  return byHand && ifItLasts(byHand);
}

/** Unleash itself may be down: then nothing can be done by hand either, and most outages are short. */
export function ifItLasts(byHand: string): string {
  return byHand.replace(/\.$/, ' if it lasts for five minutes.');
}

const ARCHIVED = 'ArchivedFeatureError';

interface FailureReply {
  readonly name: string;
  readonly message: string;
}

/** The name and message in the body of a failed reply, of Unleash or of a proxy in front of it. */
function replyOf(body: string): FailureReply {
  const { name = '', message = '', details = [] } = failureReply.safeParse(parseJson(body)).data ?? {};
  const further = details
    .flatMap(({ message }) => message ?? [])
    .filter((detail) => !message.includes(detail));
  return { name, message: [message, ...further].join(' ') };
}

function quote(text: string): string {
  if (text === '') return '';
  const quoted = text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text;
  return `It replied: "${quoted}"${/[.!?]$/.test(quoted) ? '' : '.'}`;
}

/** Unleash explains a 404 in words only. Words that are not known here mean that the flag is missing. */
function missingIn({ name, message }: FailureReply): MissingAtUnleash {
  if (name === '' || message.includes('The path you were looking for')) return 'address';
  if (/with that name in project|project with id|no project found/i.test(message)) return 'project';
  if (/could not find environment|^could not find \S+ in \S+$/i.test(message)) return 'environment';
  return 'flag';
}

/** What is missing, and what helps. */
const NOT_FOUND: Record<MissingAtUnleash, (request: AdminRequest) => [what: string, help: string]> = {
  project: ({ flagKey, project }) => [
    `Flag "${flagKey}" is not in project "${project}" of Unleash`,
    'Correct the project.',
  ],
  environment: ({ flagKey, environment }) => [
    `Unleash has no environment "${environment}" for flag "${flagKey}"`,
    'Correct the environment.',
  ],
  flag: ({ flagKey, project }) => [
    `Unleash has no flag "${flagKey}" in project "${project}"`,
    'Correct the key or the project, or create the flag.',
  ],
  address: () => [
    "The URL does not lead to Unleash's admin API, or to one that does not support the request",
    'Give the URL of the API, for example "https://unleash.example.com/api".',
  ],
};
