import { retryAfterMs } from '../support/http.js';
import {
  type AdminError,
  AdminNotFoundError,
  AdminPermissionError,
  AdminRateLimitError,
  AdminResponseError,
  AdminTokenError,
  AdminUnavailableError,
  ChangeRequestError,
  type MissingAtUnleash,
} from './admin-error.js';
import { failureAnswer } from './admin-replies.js';
import type { AdminRequest } from './request-sender.js';

/** An answer that is not a success. */
export interface FailedAnswer {
  readonly status: number;
  /** The body as text, without secrets. */
  readonly body: string;
  /** The `Retry-After` header. */
  readonly retryAfter: string | null;
  /** The `Location` header. */
  readonly location: string | null;
}

/** The longest piece of somebody else's text that a message quotes. */
const MAX_QUOTED_LENGTH = 300;

/** The error for an answer that is not a success. `now` is what a `Retry-After` date is compared with. */
export function errorForAnswer(answer: FailedAnswer, request: AdminRequest, now: number): AdminError {
  const { status } = answer;
  const said = saidBy(answer.body);
  const failure = { request: nameOf(request), status, retryAfterMs: retryAfterMs(answer.retryAfter, now) };
  const message = (what: string, help: string) =>
    [`${what} (${status} to ${nameOf(request)}).`, quote(said.message), help, request.byHand]
      .filter((sentence) => sentence !== undefined && sentence !== '')
      .join(' ');

  if (status === 401) {
    const help = 'Check that the admin token is complete, and that it was not deleted and has not expired.';
    return new AdminTokenError(message('Unleash does not accept the admin token', help), failure);
  }
  if (status === 403 && /skip_change_request|change.?request/i.test(said.message)) {
    const help =
      `Changes of "${request.environment}" need a change request. Give the token the permission to skip change ` +
      'requests there, or apply one in the Unleash UI.';
    return new ChangeRequestError(message('Unleash asks for a change request', help), failure);
  }
  if (status === 403 && /different token type/i.test(said.message)) {
    const help = 'It is a client or frontend token: use an admin token, or a personal access token.';
    return new AdminPermissionError(message('Unleash does not let this token change flags', help), failure);
  }
  // Unleash also answers 403 where a rule of its own forbids what anybody asks.
  if (status === 403 && !/OperationDenied|InvalidOperation/.test(said.name)) {
    const help =
      `Give the token's user or role the permissions for project "${request.project}" and environment ` +
      `"${request.environment}" (to turn flags on and off, and to update them).`;
    return new AdminPermissionError(message('The admin token lacks a permission', help), failure);
  }
  if (status === 404) {
    const missing = missingIn(said);
    return new AdminNotFoundError(message(...notFound(missing, request)), missing, failure);
  }
  if (status === 429)
    return new AdminRateLimitError(message('Unleash limits the rate of requests', ''), failure);
  if (status === 408 || status >= 500) {
    return new AdminUnavailableError(message('Unleash is in trouble', ''), failure);
  }
  if (status >= 300 && status < 400) {
    const to = answer.location === null ? '' : ` to ${withoutQuery(answer.location)}`;
    const help = 'Set the URL to the address where Unleash itself answers.';
    return new AdminResponseError(message(`The URL of Unleash redirects${to}`, help), failure);
  }
  return new AdminResponseError(message('Unleash refused the request', ''), failure);
}

function nameOf({ method, path }: AdminRequest): string {
  return `${method} ${path}`;
}

/** The error for a request that got no answer. `reason` is a code such as `ECONNREFUSED`, or a time-out. */
export function errorForSilence(reason: string, request: AdminRequest): AdminError {
  const sentences = [`Unleash does not answer (${reason}, ${nameOf(request)}).`, request.byHand];
  return new AdminUnavailableError(sentences.filter((sentence) => sentence !== undefined).join(' '), {
    request: nameOf(request),
  });
}

interface Said {
  readonly name: string;
  readonly message: string;
}

/** What Unleash, or what stands before it, says in a failed answer's body. */
function saidBy(body: string): Said {
  try {
    const answer = failureAnswer.safeParse(JSON.parse(body));
    if (!answer.success) return { name: '', message: '' };
    const { name = '', message = '', details = [] } = answer.data;
    const further = details
      .flatMap(({ message }) => message ?? [])
      .filter((detail) => !message.includes(detail));
    return { name, message: [message, ...further].join(' ') };
  } catch {
    return { name: '', message: '' };
  }
}

function quote(text: string): string {
  if (text === '') return '';
  return `It says: "${text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text}".`;
}

/** Unleash answers 404 in words only. The words that are not known mean that the flag is missing. */
function missingIn({ name, message }: Said): MissingAtUnleash {
  if (name === '' || message.includes('The path you were looking for')) return 'address';
  if (/with that name in project|project with id|no project found/i.test(message)) return 'project';
  if (/could not find environment|^could not find \S+ in \S+$/i.test(message)) return 'environment';
  return 'flag';
}

function notFound(
  missing: MissingAtUnleash,
  { flagKey, project, environment }: AdminRequest,
): [string, string] {
  switch (missing) {
    case 'project':
      return [`Project "${project}" of Unleash is not where flag "${flagKey}" is`, 'Correct the project.'];
    case 'environment':
      return [
        `Unleash has no environment "${environment}" for flag "${flagKey}"`,
        'Correct the environment.',
      ];
    case 'flag':
      return [
        `Unleash has no flag "${flagKey}" in project "${project}"`,
        'Correct the key or the project, or create the flag.',
      ];
    case 'address':
      return [
        "The URL does not lead to Unleash's admin API, or to one that cannot do this",
        'Give the URL of the API, for example "https://unleash.example.com/api".',
      ];
  }
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, '');
}
