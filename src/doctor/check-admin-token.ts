import { isRecord } from '../support/config-error.js';
import { countOf, formatDate, formatSpan } from '../support/wording.js';
import { unleashUrlProblem } from '../unleash/admin-access.js';
import { isAdminError } from '../unleash/admin-error.js';
import { hasPermission, mayDo, type Permission } from '../unleash/admin-rights.js';
import { type Finding, findingsOf } from './finding.js';
import type { AdminObservation, Observations, Target } from './observations.js';
import { isUnknownPath, readChangeRequests, readUser } from './observed-replies.js';

type Observed = Exclude<AdminObservation, { readonly tokenProblem: string }>;

const WITHOUT_CHANGES = 'cannot be verified without changing something';

/** Whether Unleash accepts the guard's token, and lets it do what a stop needs. */
export function checkAdmin({ target, admin, at }: Observations): Finding[] {
  const { fail, unknown } = findingsOf('admin-token');
  if (admin === undefined) {
    return [unknown('No admin token was given.', 'Set UNLEASH_ADMIN_TOKEN to have it checked.')];
  }
  if (admin.tokenProblem !== undefined) {
    return [
      fail(
        `The admin token cannot be used: ${admin.tokenProblem}.`,
        "Use a service account's token, a personal access token, or an admin token.",
      ),
    ];
  }
  if (unleashUrlProblem(target.url) !== undefined) {
    return [unknown("It could not be checked: the URL is not that of Unleash's API.")];
  }
  const token = checkToken(admin);
  if (token.status !== 'ok') return [token];
  const permissions = readUser(admin.user)?.permissions;
  return [
    token,
    checkExpiry(admin.expiry, at),
    checkPermission(target, permissions),
    checkHistory(admin.history),
    checkChangeRequests(target, admin, permissions),
  ];
}

function checkToken({ user }: Observed): Finding {
  const { ok, fail, unknown } = findingsOf('admin-token');
  if ('noAnswer' in user) {
    return unknown(`It could not be checked: Unleash does not answer (${user.noAnswer}).`);
  }
  if (user.status === 401) {
    return fail(
      'Unleash does not accept the admin token: it is wrong, deleted or expired.',
      'Create a new one; a personal access token is valid until its expiry date, and as long as its user exists.',
    );
  }
  if (user.status === 403) {
    return fail(
      'This is not a token for the admin API.',
      "Use a service account's token, a personal access token, or an admin token.",
    );
  }
  if (user.status === 200) {
    const isUnleash = isRecord(user.json) && ('permissions' in user.json || 'user' in user.json);
    return isUnleash
      ? ok('Unleash accepts the admin token.')
      : unknown('It could not be checked: the reply to GET /api/admin/user is not one of Unleash.');
  }
  if (user.status >= 500) return unknown(`It could not be checked: ${user.status} to GET /api/admin/user.`);
  return fail(
    `The admin API answers ${user.status} to GET /api/admin/user.`,
    'Give the URL of Unleash itself: Unleash Edge and the frontend proxy have no admin API.',
  );
}

/** A guard that cannot turn the flag off for lack of a token is found out when it is needed. */
function checkExpiry(expiry: Observed['expiry'], now: number): Finding {
  const { ok, warn, unknown } = findingsOf('token-expiry');
  const known = isAdminError(expiry) || !expiry.isKnown ? undefined : expiry;
  if (known === undefined) {
    return unknown(
      'Unleash does not show when the admin token expires.',
      'Note the date when you create one: the guard cannot turn the flag off with a token that has expired.',
    );
  }
  const { expiresAt, user, candidates } = known;
  if (expiresAt === undefined) return ok('The admin token does not expire.');
  const days = Math.floor((expiresAt - now) / DAY_MS);
  const date = `${formatDate(expiresAt)} (in ${days >= 2 ? countOf(days, 'day') : formatSpan(Math.max(0, expiresAt - now))})`;
  if (candidates > 1) {
    return warn(
      `The admin token is one of ${candidates} tokens of "${user ?? 'its user'}", the first of which expires on ${date}.`,
      OWN_USER,
    );
  }
  if (days < WARN_DAYS) return warn(`The admin token expires on ${date}.`, OWN_USER);
  return ok(`The admin token expires on ${date}.`);
}

const DAY_MS = 24 * 3_600_000;

/** When the guard begins to report it as well. */
const WARN_DAYS = 7;

const OWN_USER =
  'Give the guard a user of its own (open-source Unleash has no service accounts), with one personal access token that ' +
  'expires after the rollout, and start the guard with it.';

function checkPermission(target: Target, permissions: readonly Permission[] | undefined): Finding {
  const { ok, warn, fail, unknown } = findingsOf('admin-permission');
  const where = `project "${target.project}" in "${target.environment}"`;
  if (permissions === undefined) {
    return unknown(`Whether the token may turn flags off ${WITHOUT_CHANGES}.`);
  }
  if (!mayDo(permissions, 'UPDATE_FEATURE_ENVIRONMENT', target)) {
    return fail(
      `The admin token may not turn flags off in ${where}.`,
      'Give its user or service account a role with UPDATE_FEATURE_ENVIRONMENT for that project and environment.',
    );
  }
  if (!mayDo(permissions, 'UPDATE_FEATURE', target)) {
    return warn(
      `The admin token may turn flags off in ${where}, but not tag them or link the report.`,
      'Add UPDATE_FEATURE for the project to see in the Unleash UI what the guard stopped.',
    );
  }
  return ok(`The admin token may turn flags off in ${where}.`);
}

function checkHistory(history: Observed['history']): Finding {
  const { ok, warn, unknown } = findingsOf('admin-history');
  if (!isAdminError(history)) return ok("The flag's history can be read.");
  return (history.retryable ? unknown : warn)(
    `The flag's history cannot be read: ${history.message}`,
    'Without it, a guard that restarts during a stop cannot see that an operator turned the flag on in between.',
  );
}

function checkChangeRequests(
  target: Target,
  { changeRequests }: Observed,
  permissions: readonly Permission[] | undefined,
): Finding {
  const { ok, warn, fail, unknown } = findingsOf('change-requests');
  const { environment } = target;
  if (isUnknownPath(changeRequests)) return ok('This Unleash has no change requests.');
  const settings = readChangeRequests(changeRequests);
  if (settings === undefined) {
    const why = 'status' in changeRequests ? `status ${changeRequests.status}` : changeRequests.noAnswer;
    return unknown(
      `Whether "${environment}" needs change requests ${WITHOUT_CHANGES}: its settings cannot be read (${why}).`,
      "Check the project's settings in Unleash. If it does, give the token SKIP_CHANGE_REQUEST.",
    );
  }
  const isOn = settings.some(
    (setting) => setting.environment === environment && setting.changeRequestEnabled,
  );
  if (!isOn) return ok(`"${environment}" needs no change requests.`);
  if (permissions !== undefined && hasPermission(permissions, 'SKIP_CHANGE_REQUEST', target)) {
    return ok(`"${environment}" needs change requests, and the admin token may skip them.`);
  }
  const mayBeAdmin = permissions?.some(({ permission }) => permission === 'ADMIN') ?? true;
  return mayBeAdmin
    ? warn(
        `"${environment}" needs change requests; whether this token may skip them ${WITHOUT_CHANGES}.`,
        'Try it once with an unused flag, or give the token SKIP_CHANGE_REQUEST explicitly.',
      )
    : fail(
        `"${environment}" needs change requests, and the admin token may not skip them: a stop would wait for approval.`,
        'Give its user or service account SKIP_CHANGE_REQUEST for that project and environment.',
      );
}
